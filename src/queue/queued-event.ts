/** An event on its way through the queue. */
export interface QueuedEvent {
  /** What makes the event itself: printable ASCII, 128 characters at most. */
  key: string;
  /** Its JSON as published. */
  text: string;
}
