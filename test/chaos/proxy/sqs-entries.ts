import type { Roll } from '../rules/faults';
import { jsonAnswer, sqsRefusal } from './refusals';
import { parse } from './sqs-backend';
import { batchRefusal, type Entry, messageRefusal, type Refusal, type SqsError } from '../rules/sqs-rules';
import type { QueueInput, SqsServer, Visit } from './sqs-server';
import type { Answer } from './upstream';

/** What becomes of one entry: an error, a success that changes nothing, or its way to the backend. */
type Verdict = { fails: SqsError; senderFault: boolean } | { succeeds: true } | { passes: Entry };

/** An entry that the backend carried out. */
interface Done {
  entry: Entry;
  /** Of a message that was sent. */
  messageId: string | undefined;
}

/** What an operation does to single messages, alone or in a batch. */
export interface EntryOperation {
  judge: (server: SqsServer, visit: Visit, entry: Entry) => Promise<Verdict>;
  /** The backend did it, and the client does not know yet. */
  carriedOut: (server: SqsServer, visit: Visit, done: Done[]) => Promise<void>;
}

/** SendMessage, SendMessageBatch */
export const sending: EntryOperation = {
  async judge(server, { call, queue }, entry) {
    const { maximumBytes } = await server.backend.settings(call, queue);
    const refusal = messageRefusal(entry, maximumBytes);
    return refusal ? fails(server, refusal) : { passes: entry };
  },
  async carriedOut({ watchers }, { queue }, done) {
    const messageIds = done.map(({ messageId = '' }) => messageId);
    await watchers.saw({ point: 'sent', place: queue, messageIds });
  },
};

/** DeleteMessage, DeleteMessageBatch */
export const deletion: EntryOperation = {
  async judge(server, { queue }, entry) {
    const worth = server.receiptsOf(queue).worth(entry.ReceiptHandle ?? '', Date.now());
    if (worth.worth === 'deletion') return { passes: { ...entry, ReceiptHandle: worth.real } };
    if (worth.worth === 'unknown') return fails(server, unknownReceipt(entry));
    if (worth.because === 'expired') server.dice.happened('expiredReceipt');
    if (worth.because === 'superseded') server.dice.happened('supersededReceipt');
    return { succeeds: true };
  },
  async carriedOut(server, { queue }, done) {
    const receipts = server.receiptsOf(queue);
    const ids = done.map(({ entry }) => receipts.deleted(entry.ReceiptHandle ?? ''));
    const messageIds = ids.filter((id) => id !== undefined);
    await server.watchers.saw({ point: 'deleted', place: queue, messageIds });
  },
};

/** ChangeMessageVisibility, ChangeMessageVisibilityBatch */
export const hiding: EntryOperation = {
  async judge(server, { queue }, entry) {
    const { ReceiptHandle = '' } = entry;
    const worth = server.receiptsOf(queue).worth(ReceiptHandle, Date.now());
    if (worth.worth === 'deletion') return { passes: { ...entry, ReceiptHandle: worth.real } };
    if (worth.worth === 'unknown') return fails(server, unknownReceipt(entry));
    // The text of AWS: taskq issue 29, ecs-watchbot issue 135.
    const message =
      `Value ${ReceiptHandle} for parameter ReceiptHandle is invalid. ` +
      'Reason: Message does not exist or is not available for visibility timeout change.';
    return { fails: { code: 'InvalidParameterValue', message }, senderFault: true };
  },
  async carriedOut(server, { queue }, done) {
    const receipts = server.receiptsOf(queue);
    for (const { ReceiptHandle = '', VisibilityTimeout = 0 } of done.map(({ entry }) => entry)) {
      receipts.hidden(ReceiptHandle, Date.now() + VisibilityTimeout * 1_000);
    }
  },
};

/** One message, not in a batch. */
export async function one(
  server: SqsServer,
  visit: Visit<Entry & QueueInput>,
  { judge, carriedOut }: EntryOperation,
): Promise<Answer> {
  const verdict = await judge(server, visit, visit.input);
  if ('fails' in verdict) return sqsRefusal(verdict.fails);
  if ('succeeds' in verdict) return jsonAnswer({});
  const answer = await server.backend.ask(visit.call, visit.operation, verdict.passes);
  if (answer.status !== 200) return answer;
  // Nothing is said of a deletion.
  const { MessageId } = parse(answer.body.length > 0 ? answer.body : EMPTY) as {
    MessageId?: string;
  };
  await carriedOut(server, visit, [{ entry: visit.input, messageId: MessageId }]);
  return answer;
}

const EMPTY = Buffer.from('{}');

interface BatchInput extends QueueInput {
  Entries?: Entry[];
}

interface BatchAnswer {
  Successful?: { Id: string; MessageId?: string }[];
  Failed?: object[];
}

/** A batch: some of its entries reach the backend, and the answer speaks of all. */
export async function batch(
  server: SqsServer,
  visit: Visit<BatchInput>,
  operation: EntryOperation,
): Promise<Answer> {
  const { input, roll } = visit;
  const { Entries: entries = [] } = input;
  const refusal = batchRefusal(entries);
  if (refusal) return sqsRefusal(refused(server, refusal));
  const judged = await Promise.all(entries.map((entry) => operation.judge(server, visit, entry)));
  const wholly = refusedAsAWhole(judged, roll);
  if (wholly) return sqsRefusal(wholly);
  const verdicts = judged.map((verdict, index) => failNowAndThen(server, roll, verdict, index));
  const passing = verdicts.flatMap((verdict) => ('passes' in verdict ? [verdict.passes] : []));
  const answer =
    passing.length === 0
      ? jsonAnswer({})
      : await server.backend.ask(visit.call, visit.operation, { ...input, Entries: passing });
  if (answer.status !== 200) return answer;
  const { Successful = [], Failed = [] } = parse(answer.body) as BatchAnswer;
  await tell(server, visit, operation, Successful);
  return jsonAnswer({
    Successful: [
      ...Successful,
      ...entries.filter((_, index) => isSuccess(verdicts[index])).map(({ Id }) => ({ Id })),
    ],
    Failed: [...Failed, ...entries.flatMap(({ Id }, index) => failureOf(Id, verdicts[index]))],
  });
}

async function tell(
  server: SqsServer,
  visit: Visit<BatchInput>,
  operation: EntryOperation,
  successful: { Id: string; MessageId?: string }[],
): Promise<void> {
  const done = successful.map(({ Id, MessageId: messageId }) => ({
    entry: visit.input.Entries?.find((entry) => entry.Id === Id) ?? {},
    messageId,
  }));
  if (done.length > 0) await operation.carriedOut(server, visit, done);
}

const ENTRY_FAILURES = {
  entryFailed: {
    fails: { code: 'InternalError', message: 'The request has failed due to an unknown error.' },
    senderFault: false,
  },
  entryThrottled: {
    fails: { code: 'RequestThrottled', message: 'Request throttled.' },
    senderFault: true,
  },
};

function failNowAndThen({ dice }: SqsServer, roll: Roll, verdict: Verdict, index: number): Verdict {
  if ('fails' in verdict) return verdict;
  const due = (['entryFailed', 'entryThrottled'] as const).find((fault) => roll.happens(fault, index));
  if (due === undefined) return verdict;
  dice.happened(due);
  return ENTRY_FAILURES[due];
}

/**
 * Where a message of a batch holds characters that SQS refuses, some report a `Failed` entry (localstack issue 4135), others
 * a batch that is refused (aistudio issue 1525). So both happen.
 */
function refusedAsAWhole(verdicts: Verdict[], roll: Roll): SqsError | undefined {
  if (roll.fraction('refused as a whole') < 0.5) return undefined;
  return verdicts
    .flatMap((verdict) => ('fails' in verdict ? [verdict.fails] : []))
    .find(({ code }) => code === 'InvalidMessageContents');
}

function isSuccess(verdict: Verdict | undefined): boolean {
  return verdict !== undefined && 'succeeds' in verdict;
}

function failureOf(Id: string | undefined, verdict: Verdict | undefined): object[] {
  if (!verdict || !('fails' in verdict)) return [];
  const { code: Code, message: Message } = verdict.fails;
  return [{ Id, SenderFault: verdict.senderFault, Code, Message }];
}

function unknownReceipt({ ReceiptHandle = '' }: Entry): Refusal {
  const message = `The input receipt handle "${ReceiptHandle}" is not a valid receipt handle.`;
  return { rule: 'unknownReceipt', code: 'ReceiptHandleIsInvalid', message };
}

function fails(server: SqsServer, refusal: Refusal): Verdict {
  return { fails: refused(server, refusal), senderFault: true };
}

function refused({ dice }: SqsServer, { rule, ...error }: Refusal): SqsError {
  dice.happened(rule);
  return error;
}
