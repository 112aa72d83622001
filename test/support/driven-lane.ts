import assert from 'node:assert/strict';
import type { CarriedLane } from '../../src/lane/carried';
import { Lane, type LaneOptions } from '../../src/lane/lane';
import { type Received, type ReceivedMessage, takenApart } from '../../src/lane/received';
import type {
  Adopted,
  AdoptWork,
  ClaimWork,
  Deleted,
  DeleteWork,
  MeasureWork,
  Outcome,
  QueueDepth,
  ReceiveWork,
  Uploaded,
  UploadWork,
  WaitWork,
  Work,
} from '../../src/lane/work';
import type { PipelineDefinition } from '../../src/pipeline/definition';
import { definitionOf } from './definition';

/** Longer than any test, in seconds. */
export const NEVER = 36_000;

/** Batches as they are by default. */
export const HUNDRED = { batch: { rows: 100, flushAfterSeconds: NEVER } };

/** Batches of three rows, which wait for as long as it takes. */
export const THREE = { batch: { rows: 3, flushAfterSeconds: NEVER } };

const { lake } = definitionOf();
/** Other settings than these, with other columns and another prefix. */
export const OTHERS = definitionOf({
  batch: { rows: 2, flushAfterSeconds: NEVER },
  lake: { ...lake, prefix: 'new', columns: [{ name: 'id', path: 'key' }] },
});

/** Ten messages that are deleted together: as many as wait for no others. */
export const TEN = { batch: { rows: 10, flushAfterSeconds: NEVER } };

export type Kind = Work['kind'];
export type WorkOf<K extends Kind> = Extract<Work, { kind: K }>;

/** When a driven lane begins, in epoch milliseconds. */
export const BEGAN = Date.UTC(2026, 0, 31, 12);

const LIFE = { lane: 0, incarnation: '1a2b3c4d' };

/** What another try would help. */
export const PASSING = { ok: false, problem: '503 SlowDown', isFinal: false } as const;
/** What handed out nothing. */
export const REFUSED = { ok: false, problem: '403 OverLimit', isFinal: false, isRefused: true } as const;
/** What only a person can mend. */
export const HOPELESS = { ok: false, problem: 'AccessDenied', isFinal: true } as const;

/** The digest of an event's key. */
export function digestOf(n: number): string {
  return n.toString(16).padStart(16, '0');
}

/** A message with these events, each of which becomes a row. */
export function messageOf(id: string, ...events: number[]): ReceivedMessage {
  return {
    id,
    receipt: `receipt of ${id}`,
    events: events.map((n) => ({ key: digestOf(n), cells: [`event ${n}`], bytes: 20 })),
  };
}

/** A message for each event, `from` on. */
export function messagesOf(count: number, from = 1): ReceivedMessage[] {
  return Array.from({ length: count }, (_, index) => messageOf(`m${from + index}`, from + index));
}

/** The events whose rows an upload has, of messages as {@link messageOf} makes them. */
export function eventsOf({ input }: UploadWork): number[] {
  return input.rows.map(([cell = '']) => Number(cell.split(' ')[1]));
}

/**
 * A lane and who does its work: whatever it wants is begun at once, as by the workflow, and ends when the test says so. Time is a number.
 */
export class DrivenLane {
  lane: Lane;
  now: number;
  /** All that was ever begun, in order. */
  readonly begun: Work[] = [];
  readonly #underWay = new Set<Work>();
  /** When the waits end. */
  readonly #wakes = new Map<WaitWork, number>();
  readonly #options: Partial<LaneOptions>;

  constructor(
    overrides: Partial<PipelineDefinition> = {},
    { now = BEGAN, ...options }: Partial<LaneOptions> = {},
  ) {
    this.#options = options;
    this.now = now;
    this.lane = new Lane(definitionOf(overrides), { life: LIFE, now, ...options });
    this.#begin();
  }

  /** A lane that has claimed its queue. */
  static claimed(
    overrides: Partial<PipelineDefinition> = {},
    options: Partial<LaneOptions> = {},
  ): DrivenLane {
    const driven = new DrivenLane(overrides, options);
    driven.claimed();
    return driven;
  }

  get status() {
    return this.lane.status();
  }

  underWay<K extends Kind>(kind: K): WorkOf<K>[] {
    return [...this.#underWay].filter((work): work is WorkOf<K> => work.kind === kind);
  }

  /** What the waits under way are for. */
  get waits(): WaitWork['why'][] {
    return this.underWay('wait').map(({ why }) => why);
  }

  /** What is done now, sorted; waits aside. */
  get doing(): Kind[] {
    return [...this.#underWay]
      .map(({ kind }) => kind)
      .filter((kind) => kind !== 'wait')
      .sort();
  }

  allBegun<K extends Kind>(kind: K): WorkOf<K>[] {
    return this.begun.filter((work): work is WorkOf<K> => work.kind === kind);
  }

  /** Ids of the messages that are being deleted. */
  get deleting(): string[] {
    return this.underWay('delete').flatMap(({ deletions }) => deletions.map(({ messageId }) => messageId));
  }

  /** The oldest piece of such work under way. */
  next<K extends Kind>(kind: K): WorkOf<K> {
    const [work] = this.underWay(kind);
    assert(work, `there is a ${kind} under way; there is: ${this.doing.join(', ') || 'nothing'}`);
    return work;
  }

  /** Tells the lane something, and begins what it wants then. */
  tell(what: (lane: Lane) => void): void {
    what(this.lane);
    this.#begin();
  }

  /** The run is to end: what is under way may end, and nothing more is received. */
  windUp(): void {
    this.tell((lane) => lane.windUp());
  }

  claimed(
    outcome: Outcome<unknown> = { ok: true, value: undefined },
    work: ClaimWork = this.next('claim'),
  ): void {
    this.#end(work, () => this.lane.claimed(work, outcome));
  }

  /** @param adopted default: the lake was empty */
  adopted(outcome?: Outcome<Adopted>, work: AdoptWork = this.next('adopt')): void {
    this.#end(work, () => this.lane.adopted(work, outcome ?? { ok: true, value: { keys: '' } }));
  }

  /** @param answer what the receive says besides; default: it was answered at once, and saw the end of the queue */
  received(
    messages: readonly ReceivedMessage[],
    answer: Partial<Received> = {},
    work: ReceiveWork = this.next('receive'),
  ): void {
    const { now } = this;
    const value: Received = {
      ...takenApart(messages),
      leftInQueue: [],
      reached: now,
      from: now,
      until: now,
      behind: false,
      lostPolls: 0,
      refusedPolls: 0,
      ...answer,
    };
    this.#end(work, () => this.lane.received(work, { ok: true, value }));
  }

  receiveFailed(
    outcome: Outcome<never> & { ok: false } = PASSING,
    work: ReceiveWork = this.next('receive'),
  ): void {
    this.#end(work, () => this.lane.received(work, outcome));
  }

  uploaded(outcome?: Outcome<Uploaded>, work: UploadWork = this.next('upload')): void {
    const value = { bytes: 1_000, at: this.now };
    this.#end(work, () => this.lane.uploaded(work, outcome ?? { ok: true, value }));
  }

  /** @param outcome default: all are gone */
  deleted(outcome?: Outcome<Deleted>, work: DeleteWork = this.next('delete')): void {
    const value = { left: [], at: this.now };
    this.#end(work, () => this.lane.deleted(work, outcome ?? { ok: true, value }));
  }

  /** The deletion was answered, and nothing is gone. */
  nothingDeleted(work: DeleteWork = this.next('delete')): void {
    const left = work.deletions.map((_, place) => place);
    this.deleted({ ok: true, value: { left, at: this.now } }, work);
  }

  /** @param depth default: empty, as far as SQS knows */
  measured(depth: Partial<QueueDepth> = {}, work: MeasureWork = this.next('measure')): void {
    const value = {
      visible: 0,
      notVisible: 0,
      delayed: 0,
      retentionSeconds: 345_600,
      at: this.now,
      ...depth,
    };
    this.#end(work, () => this.lane.measured(work, { ok: true, value }));
  }

  measureFailed(outcome: Outcome<never> & { ok: false }, work: MeasureWork = this.next('measure')): void {
    this.#end(work, () => this.lane.measured(work, outcome));
  }

  /** Time passes, and waits end in their order. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const [next] = [...this.#wakes].sort(([, one], [, other]) => one - other);
      if (!next || next[1] > until) break;
      this.now = Math.max(this.now, next[1]);
      this.#wake(next[0]);
    }
    this.now = until;
  }

  /** When the next wait ends; undefined where there is none. */
  get nextWake(): number | undefined {
    return this.#wakes.size === 0 ? undefined : Math.min(...this.#wakes.values());
  }

  /** Uploads and deletions end well, until none is under way. */
  finish(): void {
    for (;;) {
      const [upload] = this.underWay('upload');
      const [deletion] = this.underWay('delete');
      if (upload) this.uploaded(undefined, upload);
      else if (deletion) this.deleted(undefined, deletion);
      else break;
    }
  }

  /** As JSON has it. */
  carried(): { carried: CarriedLane; settledKeys: Uint8Array } {
    const carried: CarriedLane = JSON.parse(JSON.stringify(this.lane.carried()));
    return { carried, settledKeys: this.lane.settledKeys() };
  }

  /** Continue-as-new: another run goes on with what this one carries. Waits end with the run, unheard. */
  continueAsNew(): void {
    assert(this.lane.mayEnd, 'the lane may be carried over');
    const { definition } = this.lane;
    this.#underWay.clear();
    this.#wakes.clear();
    this.lane = new Lane(definition, { life: LIFE, now: this.now, ...this.#options, ...this.carried() });
    this.#begin();
  }

  #end(work: Work, tell: () => void): void {
    assert(this.#underWay.delete(work), `this ${work.kind} is under way`);
    this.tell(tell);
  }

  #wake(wait: WaitWork): void {
    this.#wakes.delete(wait);
    this.#end(wait, () => this.lane.woke(wait));
  }

  /** As the workflow does whenever something came. */
  #begin(): void {
    for (const work of this.lane.takeWork()) this.#perform(work);
    const alarm = this.lane.mayEnd ? undefined : this.lane.takeAlarm();
    if (alarm) this.#perform(alarm);
    for (const wait of this.underWay('wait')) {
      if (this.#wakes.has(wait) && this.lane.hasEnded(wait)) this.#wake(wait);
    }
  }

  #perform(work: Work): void {
    this.begun.push(work);
    this.#underWay.add(work);
    if (work.kind === 'wait') this.#wakes.set(work, this.now + work.ms);
  }
}
