/**
 * Every metric of the project's own, beside the SDK's. Named as Prometheus wants it: a unit at the end, counters by what
 * they count (the endpoint adds `_total`). docs/metrics.md is this list, and a test holds them together.
 */

export interface Metric<Label extends string = string> {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly meaning: string;
  /** Beside `pipeline`, which those of a pipeline have, and those that the SDK adds. */
  readonly labels: readonly Label[];
}

function counter<Label extends string = never>(
  name: string,
  meaning: string,
  ...labels: Label[]
): Metric<Label> {
  return { name, kind: 'counter', meaning, labels };
}

function gauge<Label extends string = never>(
  name: string,
  meaning: string,
  ...labels: Label[]
): Metric<Label> {
  return { name, kind: 'gauge', meaning, labels };
}

/** Of a pipeline, each with the label `pipeline`. */
export const METRICS = {
  eventsReceived: counter(
    'sluice_events_received',
    'events that the source sent, repeats and canaries included',
  ),
  eventsSent: counter('sluice_events_sent', 'events that the queue confirmed'),
  eventsFailed: counter(
    'sluice_events_failed',
    'tries to send an event that the queue did not confirm; each is sent again',
  ),
  eventsRejected: counter('sluice_events_rejected', 'events kept under `rejected/` by ingest', 'reason'),
  eventsRepeated: counter(
    'sluice_events_repeated',
    'events that the source sent again and ingest recognised',
  ),
  canaries: counter('sluice_canary_events', 'canary events, kept under `canaries/`'),
  reconnects: counter('sluice_source_reconnects', 'connections to the source after the first', 'reason'),
  sourceErrors: counter('sluice_source_errors', 'errors that the source sent as `event: error`'),
  gaps: counter(
    'sluice_source_gaps',
    'times that a source which can not be resumed was not listened to: what it published meanwhile is lost',
  ),
  eventsDropped: counter(
    'sluice_events_dropped',
    'events of such a source that were received and could not be sent before their stint had to end',
  ),
  lag: gauge(
    'sluice_source_lag_seconds',
    'age of the newest event that ingest is done with: queued, rejected or a canary',
  ),
  holes: gauge(
    'sluice_source_holes',
    'offsets of a topic partition that the source passed over and nothing explains',
    'partition',
  ),
  holeAge: gauge(
    'sluice_source_hole_age_seconds',
    'for how long the oldest of these offsets is missed; 0 where none is',
    'partition',
  ),
  queueMessages: gauge(
    'sluice_queue_messages',
    'messages in the queue by what SQS says, which lags by a minute',
    'state',
  ),
  oldestMessageAge: gauge(
    'sluice_queue_oldest_message_age_seconds',
    'age of the oldest message of the last receive; 0 when the queue was empty',
  ),
  reached: gauge(
    'sluice_queue_reached_timestamp_seconds',
    'when the newest message was sent up to which the lane has seen the queue, or has seen it empty; Unix time',
  ),
  retention: gauge('sluice_queue_retention_seconds', 'after so long SQS forgets a message'),
  messagesReceived: counter(
    'sluice_messages_received',
    'messages received from the queue, redeliveries included',
  ),
  messagesRedelivered: counter('sluice_messages_redelivered', 'messages that SQS delivered again'),
  rowsRepeated: counter(
    'sluice_rows_repeated',
    'events in the queue whose key was known: recognised repeats, which become no row',
  ),
  rowsRejected: counter(
    'sluice_rows_rejected',
    'events that the lane kept under `rejected/`, since they can become no row',
    'reason',
  ),
  lostReceives: counter('sluice_receives_lost', 'receives whose answer was lost; what they hid comes back'),
  refusedReceives: counter(
    'sluice_receives_refused',
    'receives that SQS refused, or that failed before they asked it',
  ),
  rowsWritten: counter('sluice_rows_written', 'rows in confirmed objects'),
  batchesWritten: counter('sluice_batches_written', 'confirmed objects'),
  bytesWritten: counter('sluice_written_bytes', 'bytes of confirmed objects'),
  rowWait: gauge(
    'sluice_row_wait_seconds',
    'how long the oldest row of the newest object waited, from its receive to the confirmed object',
  ),
  rowsWaiting: gauge('sluice_rows_waiting', 'rows received that no confirmed object holds'),
  windowKeys: gauge('sluice_window_keys', 'keys that are recognised as repeats'),
  unsettledMessages: gauge(
    'sluice_messages_unsettled',
    'messages whose deletion is not known to have worked',
  ),
  parked: gauge('sluice_parked', '1 while a workflow is parked and waits for a person', 'workflow'),
  workflowSeen: gauge(
    'sluice_workflow_seen_timestamp_seconds',
    'when this process last ran the workflow, Unix time: of several, the one with the newest knows its gauges',
    'workflow',
  ),
} as const;

/** Of a worker process, whatever pipeline it serves. */
export const PROCESS_METRICS = {
  awsRequests: counter(
    'sluice_aws_requests',
    'requests to SQS and S3, each try by itself',
    'service',
    'operation',
    'outcome',
  ),
} as const;

type MetricId = keyof typeof METRICS;

type Labels<M> =
  M extends Metric<infer Label>
    ? [Label] extends [never]
      ? []
      : [labels: Readonly<Record<Label, string>>]
    : never;

/** One function per metric: it adds to a counter, or sets a gauge. */
export type Meters = {
  readonly [Id in MetricId]: (value: number, ...labels: Labels<(typeof METRICS)[Id]>) => void;
} & {
  /**
   * Whoever measured ends, and another worker may go on: the gauges become NaN, which `max` passes over. A value left
   * behind would stand for as long as this process lives.
   */
  readonly close: () => void;
};

type Tags = Record<string, string>;

/** The part of an SDK's meter that is needed here; the activity's and the workflow's are alike. */
interface Meter {
  createCounter(name: string, unit?: string, description?: string): { add(value: number, tags?: Tags): void };
  createGauge(
    name: string,
    valueType?: 'int' | 'float',
    unit?: string,
    description?: string,
  ): { set(value: number, tags?: Tags): void };
}

/** The pipeline's metrics on an SDK's meter. A workflow's does nothing while the workflow is replayed. */
export function metersOf(meter: Meter, pipeline: string): Meters {
  const clearing = new Map<string, () => void>();
  let isClosed = false;

  const counting = ({ name, meaning }: Metric) => {
    const made = meter.createCounter(name, undefined, meaning);
    return (value: number, labels?: Tags) => made.add(value, { pipeline, ...labels });
  };
  const setting = ({ name, meaning }: Metric) => {
    const made = meter.createGauge(name, 'float', undefined, meaning);
    return (value: number, labels?: Tags) => {
      if (isClosed) return;
      const tags = { pipeline, ...labels };
      // An age by two clocks may be less than nothing. The SDK throws then, and a stint's heartbeat took its process with it.
      made.set(Math.max(0, value), tags);
      clearing.set(name + JSON.stringify(tags), () => made.set(NaN, tags));
    };
  };
  const close = () => {
    isClosed = true;
    for (const clear of clearing.values()) clear();
  };
  const meters = Object.entries(METRICS).map(([id, metric]) => [
    id,
    metric.kind === 'counter' ? counting(metric) : setting(metric),
  ]);
  return { ...Object.fromEntries(meters), close } as Meters;
}

/** What SQS says of a queue, from whoever asked it. */
export function meterQueue(
  { queueMessages, retention }: Meters,
  depth: { visible: number; notVisible: number; delayed: number; retentionSeconds: number },
): void {
  queueMessages(depth.visible, { state: 'visible' });
  queueMessages(depth.notVisible, { state: 'not-visible' });
  queueMessages(depth.delayed, { state: 'delayed' });
  retention(depth.retentionSeconds);
}
