import type { Roll } from '../rules/faults';
import { LateCounts } from './late-counts';
import { jsonAnswer } from './refusals';
import { parse } from './sqs-backend';
import { batch, deletion, hiding, one, sending } from './sqs-entries';
import { receive } from './sqs-receive';
import type { QueueInput, SqsServer, Visit } from './sqs-server';
import type { Answer, Call } from './upstream';

/** SQS in front of a kinder server. */
export class SqsFaults {
  readonly #server: SqsServer;
  readonly #lateCounts: LateCounts;
  #isHealed = false;

  /** @param countsLagMs how old a queue's counts are, in milliseconds; 0: they are true */
  constructor(server: SqsServer, countsLagMs: number) {
    this.#server = server;
    this.#lateCounts = new LateCounts(countsLagMs);
  }

  /** @throws BackendLost */
  async carryOut(call: Call, operation: string, roll: Roll): Promise<Answer> {
    const input = parse(call.body) as QueueInput;
    const visit = { call, operation, input, queue: input.QueueUrl ?? '', roll };
    const { backend } = this.#server;
    switch (operation) {
      case 'SendMessage':
        await this.#follow(visit);
        return await one(this.#server, visit, sending);
      case 'SendMessageBatch':
        await this.#follow(visit);
        return await batch(this.#server, visit, sending);
      case 'DeleteMessage':
        return await one(this.#server, visit, deletion);
      case 'DeleteMessageBatch':
        return await batch(this.#server, visit, deletion);
      case 'ChangeMessageVisibility':
        return await one(this.#server, visit, hiding);
      case 'ChangeMessageVisibilityBatch':
        return await batch(this.#server, visit, hiding);
      case 'ReceiveMessage':
        return await receive(this.#server, visit);
      case 'GetQueueAttributes':
        return await this.#attributes(visit);
      case 'SetQueueAttributes':
        backend.forgetSettings(visit.queue);
        return await backend.passOn(call);
      default:
        return await backend.passOn(call);
    }
  }

  async heal(): Promise<void> {
    this.#isHealed = true;
    await this.#lateCounts.stop();
  }

  async #follow({ call, queue }: Visit): Promise<void> {
    if (this.#isHealed) return;
    const lasting = { ...call, signal: new AbortController().signal };
    await this.#lateCounts.follow(queue, () => this.#server.backend.counts(lasting, queue));
  }

  async #attributes(visit: Visit): Promise<Answer> {
    const { call, operation, input, queue } = visit;
    await this.#follow(visit);
    const answer = await this.#server.backend.ask(call, operation, input);
    const old = await this.#lateCounts.old(queue);
    if (answer.status !== 200 || !old) return answer;
    const { Attributes = {} } = parse(answer.body) as { Attributes?: Record<string, string> };
    const late = Object.fromEntries(
      Object.entries(Attributes).map(([name, value]) => [name, old[name] ?? value]),
    );
    const differs = Object.keys(late).some((name) => late[name] !== Attributes[name]);
    if (differs) this.#server.dice.happened('lateCounts');
    return jsonAnswer({ Attributes: late });
  }
}
