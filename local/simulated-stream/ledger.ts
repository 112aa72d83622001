/** A well-formed event that was published. */
export interface PublishedEvent {
  /** `meta.id` */
  readonly key: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The JSON as sent; empty when payloads are not kept. */
  readonly text: string;
  /** SHA-256 of the text, in hex. */
  readonly sha256: string;
  /** Milliseconds since 1970, by the clock on the wall. */
  readonly publishedAt: number;
}

/** An event that cannot become a row. */
export interface BrokenEvent {
  readonly text: string;
  /** In words. */
  readonly reason: string;
}

/** What the simulated service really published, to compare a pipeline's output with. */
export interface Ledger {
  /** Well-formed events, in the order of their publication, without canaries. */
  readonly published: readonly PublishedEvent[];
  readonly broken: readonly BrokenEvent[];
  /** Well-formed events that have an offset and are not sent. */
  readonly withheld: readonly PublishedEvent[];
  /** How many canary events there were. */
  readonly canaries: number;
}
