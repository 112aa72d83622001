import { createHash } from 'node:crypto';
import { parse, SqsBackend } from './sqs-backend';
import type { Entry } from '../rules/sqs-rules';
import type { Call, WholeAnswer } from './upstream';

interface Sent {
  Id?: string;
  MD5OfMessageBody?: string;
}

/**
 * For a server that refuses characters beyond the basic plane, which AWS takes (fauxqs 1.9.2): they travel to it as JSON
 * escapes, the same JSON value, and the sender is told the digest of what it sent.
 */
export class BasicPlaneBackend extends SqsBackend {
  override async ask(call: Call, operation: string, input: object): Promise<WholeAnswer> {
    if (operation !== 'SendMessageBatch') return await super.ask(call, operation, input);
    const { Entries: entries = [] } = input as { Entries?: Entry[] };
    const escaped = entries.map((entry) => ({ ...entry, MessageBody: escape(entry.MessageBody ?? '') }));
    const answer = await super.ask(call, operation, { ...input, Entries: escaped });
    if (answer.status !== 200) return answer;
    const { Successful = [], ...rest } = parse(answer.body) as { Successful?: Sent[] };
    const digests = new Map(entries.map(({ Id, MessageBody = '' }) => [Id, md5(MessageBody)]));
    const told = Successful.map((sent) => ({ ...sent, MD5OfMessageBody: digests.get(sent.Id) }));
    return { ...answer, body: Buffer.from(JSON.stringify({ ...rest, Successful: told })) };
  }
}

function escape(text: string): string {
  return text.replace(/[\uD800-\uDFFF]/g, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
