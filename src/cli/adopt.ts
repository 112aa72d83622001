import { toAdopt } from '../lane/carried';
import { deadLaneMs } from '../lane/adopting';
import type { Replaced } from '../lane/work';
import { type KeptCursor, type KeptProgress, readCursor } from '../lake/kept-cursor';
import { cursorKey } from '../lake/layout';
import { lakeAddress, type LakeOwner, OwnerUnreadable, readOwner } from '../lake/owner';
import type { PipelineDefinition } from '../pipeline/definition';
import { SETTINGS } from '../settings/pipeline';
import { describeCursor } from '../sources/cursor';
import { NO_GAPS } from '../sources/gaps';
import { isSameStream } from '../sources/kafka/address';
import { askForName } from './ask';
import type { Context } from './context';
import { CommandError, UsageError } from './errors';
import { explainingQueue, explainingS3 } from './explain';
import { runsHere } from './lake-owner';
import { option } from './option';
import { printable } from '../printable';
import { refuseOtherNames, requireBucket, type Running, startIngest, startLane } from './starting';
import { describeRunning, pipelineHandles } from './workflows';

export interface AdoptOptions {
  /** ISO 8601: from when on the source is read, whatever cursor the lake keeps. Default: from that cursor. */
  since?: string;
  /** Whether to ask nothing. */
  yes?: boolean;
  /** Whether to say what was done as JSON. */
  json?: boolean;
}

/**
 * `sluice start --adopt`: goes on where the lake ends, with what is left of a pipeline whose workflows are gone for good, both or one. What
 * runs is left alone. One that was interrupted can be run again.
 *
 * @throws CommandError where that can't be, or was not meant
 */
export async function adopt(
  context: Context,
  { since, yes = false, json = false }: AdoptOptions = {},
): Promise<void> {
  const { pipeline, store, queue, say } = context;
  await explainingQueue(queue, () => queue.arn());
  const handles = await pipelineHandles(context);
  const running: Running = {
    ingest: await describeRunning(handles.ingest),
    batch: await describeRunning(handles.batch),
  };
  refuseOtherNames(pipeline, running);
  await requireBucket(context);
  const replaces = running.batch ? undefined : await whatLaneTakes(context);
  const adopts = running.ingest
    ? undefined
    : progressToAdopt(pipeline, await explainingS3(store.lake, () => readCursor(store)), {
        since: since === undefined ? undefined : timeOf(since),
        queueCreatedAt: (await queue.attributes()).createdAt,
      });
  if (replaces && !yes) await askForName(pipeline.name, warning(context, replaces), 'Nothing was taken over');
  // A plain start does not begin to read anew where the lake keeps a cursor: whatever ends this here, it can be run again.
  if (replaces) await startLane(context, handles, toAdopt(replaces));
  if (adopts) await startIngest(context, handles, adopts);
  const adopted = { lane: replaces !== undefined, ingest: adopts !== undefined };
  if (json)
    return say(JSON.stringify({ pipeline: pipeline.name, outcome: 'adopted', ...adopted }, undefined, 2));
  for (const line of linesOf(pipeline, replaces, adopts)) say(line);
}

function linesOf(
  { name, queue }: PipelineDefinition,
  replaces: Replaced | undefined,
  adopts: KeptProgress | undefined,
): string[] {
  if (!replaces && !adopts) return [`pipeline ${name}: ingest and lane run, nothing is to be taken over`];
  const seconds = Math.ceil(deadLaneMs(queue.visibilityTimeoutSeconds * 1_000) / 1_000);
  return [
    `pipeline ${name}: adopted`,
    replaces
      ? `lane: waits ${seconds} s until nothing of the one before it is under way, then reads the lake (\`sluice status\`)`
      : 'lane: runs, and was left alone',
    adopts ? `ingest: goes on at ${describeCursor(adopts.cursor)}` : 'ingest: runs, and was left alone',
  ];
}

/**
 * Whose queue and lake the new lane takes.
 *
 * @throws CommandError where that one runs, or is not this pipeline's
 */
async function whatLaneTakes({ pipeline, temporal, queue, store }: Context): Promise<Replaced> {
  if (!pipeline.lake.keyColumn) {
    throw new CommandError(
      `A pipeline without the column of keys (${SETTINGS.lake.keyColumn.name}=off) can't be adopted: what comes again would be written twice`,
    );
  }
  const tag = await queue.owner();
  const owner = await explainingS3(store.lake, () => ownerOf(store));
  if (!owner) {
    throw new CommandError(
      `There is nothing to adopt: no lane has claimed ${lakeAddress(store.lake)}. Correct SLUICE_BUCKET and SLUICE_PREFIX, or run \`sluice start\``,
    );
  }
  if (owner.pipeline !== pipeline.name) {
    throw new CommandError(
      printable(
        `${lakeAddress(store.lake)} belongs to the pipeline ${owner.pipeline}, and these settings are those of ${pipeline.name} (SLUICE_PIPELINE)`,
      ),
    );
  }
  if ((await runsHere(temporal, owner)) === true) {
    throw new CommandError(
      printable(
        `The lane ${owner.lane} (${owner.run}) runs, and writes to ${lakeAddress(store.lake)}: it needs no other`,
      ),
    );
  }
  return { lake: owner.run, ...(tag === undefined ? {} : { queue: tag }) };
}

async function ownerOf(store: Context['store']): Promise<LakeOwner | undefined> {
  return await readOwner(store).catch((error: unknown) => {
    throw error instanceof OwnerUnreadable ? new CommandError(error.message) : error;
  });
}

function warning({ pipeline, store }: Context, { lake = '', queue }: Replaced): string {
  return printable(
    `This takes over ${lakeAddress(store.lake)} (of ${lake}) and the queue ${pipeline.queue.name} (of ${queue ?? 'nobody'}): namespace and first run ` +
      'of the lane before. That one does not run here. If it runs in another Temporal, both would write the same events',
  );
}

/**
 * Where ingest goes on.
 *
 * @param kept what the lake keeps; undefined where there is none
 * @throws CommandError where what is there does not belong to these settings, or does not tell all
 */
export function progressToAdopt(
  { name, source, queue, lake }: PipelineDefinition,
  kept: KeptCursor | undefined,
  { since, queueCreatedAt }: { since: number | undefined; queueCreatedAt: number | undefined },
): KeptProgress {
  if (since !== undefined) {
    return { cursor: { since, positions: {}, recent: {} }, completeness: {}, gaps: NO_GAPS };
  }
  const address = `s3://${lake.bucket}/${cursorKey(lake.prefix)}`;
  const instead =
    'say with --since from when to read the source: early enough for what the lake lacks, and not so early that more than ' +
    `${SETTINGS.windowKeys.name} events come again`;
  if (!kept) throw new CommandError(`No cursor is kept at ${address}: ${instead}`);
  const { cursor, completeness, gaps, time } = kept;
  const isOurs =
    kept.pipeline === name && isSameStream(kept.source.url, source.url) && kept.source.key === source.key;
  if (!isOurs || kept.queue.name !== queue.name) {
    throw new CommandError(
      printable(
        `The cursor at ${address} is that of ${kept.pipeline}, which read ${kept.source.url}${kept.source.key === undefined ? '' : ` by ${kept.source.key}`} ` +
          `into the queue ${kept.queue.name}: adopt it with its own settings, or ${instead}`,
      ),
    );
  }
  const { createdAt } = kept.queue;
  if (createdAt !== undefined && queueCreatedAt !== undefined && createdAt !== queueCreatedAt) {
    throw new CommandError(
      `The queue ${queue.name} was made again since the cursor at ${address} was kept (${time}), and what the lane had not written went with it: ${instead}`,
    );
  }
  return { cursor, completeness, gaps };
}

function timeOf(text: string): number {
  const since = option('--since', text, SETTINGS.source.since.parse);
  if (since !== undefined) return since;
  throw new UsageError(`--since wants a time, and is ${JSON.stringify(text)}`);
}
