import assert from 'node:assert/strict';
import { UsageError } from '../../src/cli/errors';
import { requireNames } from '../../src/cli/provision';

describe('sluice provision', () => {
  const refusal = (environment: Record<string, string>): string | undefined => {
    try {
      requireNames(environment);
      return undefined;
    } catch (error) {
      assert(error instanceof UsageError);
      return error.message;
    }
  };

  it('makes nothing in AWS itself under a name that nobody chose', () => {
    assert.match(refusal({}) ?? '', /^SLUICE_QUEUE and SLUICE_BUCKET must be set for AWS itself/);
    assert.match(refusal({ SLUICE_QUEUE: 'q', AWS_ENDPOINT_URL: '' }) ?? '', /^SLUICE_BUCKET must be set/);
    assert.match(
      refusal({ SLUICE_BUCKET: 'b', AWS_ENDPOINT_URL_S3: 'http://moto' }) ?? '',
      /^SLUICE_QUEUE must be set/,
    );
    assert.equal(refusal({ SLUICE_QUEUE: 'q', SLUICE_BUCKET: 'b' }), undefined);
  });

  it('takes the default names in an emulator', () => {
    assert.equal(refusal({ AWS_ENDPOINT_URL: 'http://moto' }), undefined);
    assert.equal(
      refusal({ AWS_ENDPOINT_URL_SQS: 'http://moto', AWS_ENDPOINT_URL_S3: 'http://moto' }),
      undefined,
    );
    assert.equal(refusal({ SLUICE_BUCKET: 'b', AWS_ENDPOINT_URL_SQS: 'http://moto' }), undefined);
  });
});
