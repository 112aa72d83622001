import type { Dice, Roll } from '../rules/faults';
import { Receipts } from './receipts';
import type { SqsBackend } from './sqs-backend';
import type { Call } from './upstream';
import type { Watchers } from './watchers';

export interface QueueInput {
  QueueUrl?: string;
}

/** A call to SQS, parsed, on its way. */
export interface Visit<Input extends QueueInput = QueueInput> {
  call: Call;
  operation: string;
  input: Input;
  /** The queue's URL. */
  queue: string;
  roll: Roll;
}

/** What every operation of the queue's server needs. */
export class SqsServer {
  readonly dice: Dice;
  readonly watchers: Watchers;
  readonly backend: SqsBackend;
  readonly #receipts = new Map<string, Receipts>();

  constructor(dice: Dice, watchers: Watchers, backend: SqsBackend) {
    this.dice = dice;
    this.watchers = watchers;
    this.backend = backend;
  }

  receiptsOf(queue: string): Receipts {
    const receipts = this.#receipts.get(queue) ?? new Receipts();
    this.#receipts.set(queue, receipts);
    return receipts;
  }
}
