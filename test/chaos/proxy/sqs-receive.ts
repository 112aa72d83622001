import type { FaultKind, Roll } from '../rules/faults';
import type { Message } from './receipts';
import { jsonAnswer } from './refusals';
import { parse } from './sqs-backend';
import type { QueueInput, SqsServer, Visit } from './sqs-server';
import type { Answer } from './upstream';

export interface ReceiveInput extends QueueInput {
  MaxNumberOfMessages?: number;
  WaitTimeSeconds?: number;
  VisibilityTimeout?: number;
}

/** A message that the backend does not bring. */
interface Extra {
  fault: FaultKind;
  messageId: string;
}

/** A message that stays behind is visible again after so long, in seconds. */
const WITHHELD_SECONDS = 1;

/** ReceiveMessage: brings what the backend has, and now and then copies of it, in any order. */
export async function receive(server: SqsServer, visit: Visit<ReceiveInput>): Promise<Answer> {
  const { call, operation, input } = visit;
  const most = input.MaxNumberOfMessages ?? 1;
  const extras = extrasFor(server, visit).slice(0, most);
  const asked = { ...input, MaxNumberOfMessages: most - extras.length };
  // What is there is brought at once, without a long poll.
  if (extras.length > 0) asked.WaitTimeSeconds = 0;
  const answer =
    asked.MaxNumberOfMessages > 0 ? await server.backend.ask(call, operation, asked) : jsonAnswer({});
  if (answer.status !== 200) return answer;
  const { Messages = [] } = parse(answer.body) as { Messages?: Message[] };
  const until = Date.now() + (await visibilityMs(server, visit));
  const brought = await bring(server, visit, { found: Messages, extras, until });
  return jsonAnswer(brought.length > 0 ? { Messages: brought } : {});
}

async function visibilityMs(server: SqsServer, { call, queue, input }: Visit<ReceiveInput>): Promise<number> {
  if (input.VisibilityTimeout !== undefined) return input.VisibilityTimeout * 1_000;
  return (await server.backend.settings(call, queue)).visibilityMs;
}

function extrasFor(server: SqsServer, { queue, roll }: Visit): Extra[] {
  const receipts = server.receiptsOf(queue);
  const candidates = {
    copied: receipts.inFlight(roll.fraction('which copy')),
    revived: receipts.deletedLately(roll.fraction('which deleted')),
  };
  return (['copied', 'revived'] as const).flatMap((fault) => {
    const messageId = candidates[fault];
    return messageId !== undefined && roll.happens(fault) ? [{ fault, messageId }] : [];
  });
}

async function bring(
  server: SqsServer,
  visit: Visit,
  { found, extras, until }: { found: Message[]; extras: Extra[]; until: number },
): Promise<Message[]> {
  const { dice, watchers } = server;
  const receipts = server.receiptsOf(visit.queue);
  for (const message of found) receipts.received(message, until);
  const messages = await withhold(server, visit, found);
  for (const { fault, messageId } of extras) {
    const message = receipts.again(messageId, until);
    if (!message) continue;
    dice.happened(fault);
    messages.push(message);
  }
  if (messages.length === 0) return [];
  if (messages.length > 1 && visit.roll.happens('shuffled')) {
    dice.happened('shuffled');
    shuffle(messages, visit.roll);
  }
  const messageIds = messages.map(({ MessageId }) => MessageId);
  await watchers.saw({ point: 'received', place: visit.queue, messageIds });
  return messages;
}

/** Never the only message: the answer to a long poll is empty only when nothing is there. */
async function withhold(
  { backend, dice }: SqsServer,
  { call, queue, roll }: Visit,
  found: Message[],
): Promise<Message[]> {
  if (found.length < 2 || !roll.happens('withheld')) return [...found];
  const left = found[Math.floor(roll.fraction('which stays') * found.length)];
  const { status } = await backend.ask(call, 'ChangeMessageVisibility', {
    QueueUrl: queue,
    ReceiptHandle: left?.ReceiptHandle,
    VisibilityTimeout: WITHHELD_SECONDS,
  });
  if (status !== 200) return [...found];
  dice.happened('withheld');
  return found.filter((message) => message !== left);
}

/** Fisher and Yates. */
function shuffle(messages: Message[], roll: Roll): void {
  for (let last = messages.length - 1; last > 0; last -= 1) {
    const other = Math.floor(roll.fraction(`place ${last}`) * (last + 1));
    const [one, two] = [messages[last], messages[other]];
    if (one && two) [messages[last], messages[other]] = [two, one];
  }
}
