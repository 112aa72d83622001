import assert from 'node:assert/strict';
import { crc32Base64, objectRefusal, s3Operation } from './s3-rules';

describe('What S3 refuses', () => {
  const content = Buffer.from('hello');
  const checksum = 'NhCmhg==';
  const chunked = { 'content-encoding': 'aws-chunked', 'x-amz-trailer': 'x-amz-checksum-crc32' };
  const inChunks = (trailer: string) =>
    Buffer.from(`2\r\nhe\r\n3\r\nllo\r\n0\r\nx-amz-checksum-crc32:${trailer}\r\n\r\n`);

  it('is a body that is not the one of its checksum', () => {
    assert.equal(crc32Base64(content), checksum);
    const headers = { 'x-amz-checksum-crc32': checksum };
    assert.equal(objectRefusal(headers, content, 'refused'), undefined);
    assert.equal(objectRefusal(headers, Buffer.from('hellO'), 'refused')?.code, 'BadDigest');
  });

  it('is such a body also when it comes in chunks with the checksum behind', () => {
    assert.equal(objectRefusal(chunked, inChunks(checksum), 'refused'), undefined);
    assert.equal(objectRefusal(chunked, inChunks('AAAAAA=='), 'refused')?.code, 'BadDigest');
  });

  it('is an ACL where the bucket has none', () => {
    const acl = { 'x-amz-acl': 'public-read' };
    assert.equal(objectRefusal(acl, content, 'refused')?.code, 'AccessControlListNotSupported');
    assert.equal(objectRefusal(acl, content, 'taken'), undefined);
    assert.equal(objectRefusal({ 'x-amz-acl': 'bucket-owner-full-control' }, content, 'refused'), undefined);
  });
});

describe('The name of a request to S3', () => {
  it('is the one of the API reference for what the lake uses', () => {
    assert.equal(s3Operation('PUT', '/lake/date%3D1/a.csv?x-id=PutObject'), 'PutObject');
    assert.equal(s3Operation('GET', '/lake/a.csv?x-id=GetObject'), 'GetObject');
    assert.equal(s3Operation('HEAD', '/lake/a.csv'), 'HeadObject');
    assert.equal(s3Operation('GET', '/lake/?list-type=2&prefix=a'), 'ListObjects');
    assert.equal(s3Operation('PUT', '/lake/'), 'PUT bucket');
    assert.equal(s3Operation('PUT', '/lake/a.csv?acl'), 'PUT acl');
  });
});
