import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type History, historyFromJSON } from '@temporalio/common/lib/proto-utils';
import type { Payload } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { dataConverter, payloadCodec } from '../../src/clients/payload-codec';
import { installRuntime, workflowBundle } from '../support/temporal';

const FOLDER = path.join(__dirname, 'histories');
const MOST_BYTES = 300_000;

/** The encoding of a compressed payload, as JSON has bytes. */
const COMPRESSED = Buffer.from('binary/zlib').toString('base64');

/** The payloads of a history, decoded. */
async function readable(text: string): Promise<Payload[]> {
  const payloads: Payload[] = [];
  JSON.parse(text, (name, value: unknown) => {
    if (name === 'payloads' && Array.isArray(value)) payloads.push(...value.map(payloadOfJson));
    return value;
  });
  return await payloadCodec.decode(payloads);
}

function payloadOfJson(json: Record<string, unknown>): Payload {
  return temporal.api.common.v1.Payload.fromObject(json);
}

/** Recorded by `npm run record`: what ran under an older version of the workflows must go on under this one. */
describe('Recorded histories', () => {
  const histories = new Map<string, History>();
  const texts = new Map<string, string>();

  before(async () => {
    for (const file of await readdir(FOLDER)) {
      const text = await readFile(path.join(FOLDER, file), 'utf8');
      texts.set(file, text);
      histories.set(file, historyFromJSON(JSON.parse(text)));
    }
  });

  async function replay(history: History): Promise<void> {
    const bundle = await workflowBundle();
    installRuntime();
    await Worker.runReplayHistory({ workflowBundle: bundle, dataConverter }, history, 'recorded');
  }

  const eventsOf = (history: History) => history.events ?? [];
  const typeOf = (history: History) =>
    eventsOf(history)[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name ?? '';
  const all = () => [...histories.values()];

  it('replay without a difference', async () => {
    for (const [file, history] of histories) {
      await assert.doesNotReject(replay(history), `${file} does not replay`);
    }
  });

  it('cover both workflows, all activities, signals and updates, and continue-as-new', () => {
    assert.deepEqual([...new Set(all().map(typeOf))].sort(), ['batch', 'ingest']);
    const events = all().flatMap(eventsOf);
    const activities = events.flatMap(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? [],
    );
    assert.deepEqual([...new Set(activities)].sort(), [
      'claimQueue',
      'consumeStream',
      'deleteMessages',
      'measureQueue',
      'receiveMessages',
      'uploadBatch',
    ]);
    const signals = events.flatMap(
      (event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? [],
    );
    assert.deepEqual([...new Set(signals)].sort(), [
      'ask-reached',
      'flush',
      'pause',
      'reached',
      'resume',
      'start',
      'stop',
    ]);
    const updates = events.flatMap(
      (event) => event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input?.name ?? [],
    );
    assert.deepEqual([...new Set(updates)].sort(), ['remove', 'update']);
    assert(events.some((event) => event.upsertWorkflowSearchAttributesEventAttributes));
    for (const type of ['batch', 'ingest']) {
      const continued = all().filter(
        (history) =>
          typeOf(history) === type &&
          eventsOf(history).at(-1)?.workflowExecutionContinuedAsNewEventAttributes,
      );
      assert(continued.length > 0, `no ${type} continued as new`);
    }
  });

  it('were written with the payload codec', () => {
    assert([...texts].some(([file, text]) => file.startsWith('batch-') && text.includes(COMPRESSED)));
  });

  it('are small, and name no machine', async () => {
    assert(texts.size > 0);
    for (const [file, text] of texts) {
      assert(text.length <= MOST_BYTES, `${file} has ${text.length} bytes`);
      const identities = new Set(text.match(/"identity":\s*"[^"]*"/g)?.map((match) => match.split('"')[3]));
      for (const identity of identities) assert.match(identity ?? '', /^(sluice-test|history-service|)$/);
      const decoded = (await readable(text)).map(({ data }) => Buffer.from(data ?? []).toString());
      assert.doesNotMatch(
        [text, ...decoded].join('\n'),
        /\/work\/|\/home\/|\/tmp\/|node_modules|file:/,
        file,
      );
    }
  });

  for (const type of ['batch', 'ingest']) {
    it(`fail when ${type} would do something else`, async () => {
      const recorded = all().find((history) => typeOf(history) === type);
      const tampered = structuredClone(recorded);
      const scheduled = tampered?.events?.find((event) => event.activityTaskScheduledEventAttributes);
      const activity = scheduled?.activityTaskScheduledEventAttributes?.activityType;
      assert(tampered && activity);
      activity.name = 'another';
      await assert.rejects(replay(tampered), DeterminismViolationError);
    });
  }
});
