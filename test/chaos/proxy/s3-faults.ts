import type { Dice, Roll } from '../rules/faults';
import { s3Refusal } from './refusals';
import { objectRefusal } from '../rules/s3-rules';
import { type Answer, type Call, forward, readWhole } from './upstream';
import type { Watchers } from './watchers';

export interface S3FaultsOptions {
  target: string;
  dice: Dice;
  watchers: Watchers;
  acls: 'refused' | 'taken';
}

/** S3 in front of a kinder server. */
export class S3Faults {
  readonly #options: S3FaultsOptions;
  /** By path: the conditional PUT that is under way. */
  readonly #writing = new Map<string, Promise<unknown>>();

  constructor(options: S3FaultsOptions) {
    this.#options = options;
  }

  /** @throws BackendLost */
  async carryOut(call: Call, operation: string, roll: Roll): Promise<Answer> {
    if (operation !== 'PutObject') return await forward(this.#options.target, call);
    const { dice, acls } = this.#options;
    const refusal = objectRefusal(call.headers, call.body, acls);
    if (refusal) {
      dice.happened(refusal.rule);
      return s3Refusal(refusal);
    }
    if (call.headers['if-none-match'] === undefined) return await this.#put(call);
    if (roll.happens('conflict')) {
      dice.happened('conflict');
      return s3Refusal(CONFLICT);
    }
    return await this.#oneByOne(call);
  }

  /** moto looks and writes in two steps; S3 lets one of two conditional PUTs at once win. */
  async #oneByOne(call: Call): Promise<Answer> {
    const place = placeOf(call);
    const before = this.#writing.get(place);
    const put = (async () => {
      await before?.catch(() => {});
      return await this.#put(call);
    })();
    this.#writing.set(place, put);
    try {
      return await put;
    } finally {
      if (this.#writing.get(place) === put) this.#writing.delete(place);
    }
  }

  async #put(call: Call): Promise<Answer> {
    const { target, watchers } = this.#options;
    const answer = await readWhole(await forward(target, call));
    if (answer.status === 200) await watchers.saw({ point: 'put', place: placeOf(call), messageIds: [] });
    return answer;
  }
}

const CONFLICT = {
  status: 409,
  code: 'ConditionalRequestConflict',
  message: 'The conditional request cannot succeed due to a conflicting operation against this resource.',
};

/** `/bucket/key`. */
function placeOf({ path }: Call): string {
  return decodeURIComponent(new URL(path, 'http://localhost').pathname);
}
