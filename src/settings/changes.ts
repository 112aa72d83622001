import { isSameStream } from '../sources/kafka/address';
import { loadPipeline, SETTINGS } from './pipeline';
import { type PipelineDefinition } from '../pipeline/definition';
import { SettingsError } from './setting';

/** The settings with which {@link loadPipeline} gives this definition, as one would write them in `.env`. */
export function settingsOf(definition: PipelineDefinition): Record<string, string> {
  const { name, source, queue, lake, batch, windowKeys, drainQuietSeconds, heartbeatTimeoutSeconds } =
    definition;
  return {
    [SETTINGS.pipeline.name]: name,
    [SETTINGS.sourceUrl.name]: source.url,
    [SETTINGS.sourceSince.name]: source.since === undefined ? '' : new Date(source.since).toISOString(),
    [SETTINGS.contact.name]: source.contact,
    [SETTINGS.sourceKey.name]: source.key ?? '',
    [SETTINGS.sourceOffsets.name]: Object.entries(source.offsets ?? {})
      .map(([partition, offset]) => `${partition}:${offset}`)
      .join(','),
    [SETTINGS.sourceLoss.name]: source.afterLoss ?? 'stop',
    [SETTINGS.queue.name]: queue.name,
    [SETTINGS.bucket.name]: lake.bucket,
    [SETTINGS.prefix.name]: lake.prefix,
    [SETTINGS.columns.name]: lake.columns
      .map(({ name: column, path }) => (column === path ? path : `${column}=${path}`))
      .join(','),
    [SETTINGS.objectAcl.name]: lake.acl ?? '',
    [SETTINGS.escapeFormulas.name]: String(lake.escapeFormulas),
    [SETTINGS.batchRows.name]: String(batch.rows),
    [SETTINGS.flushAfter.name]: `${batch.flushAfterSeconds}s`,
    [SETTINGS.visibilityTimeout.name]: `${queue.visibilityTimeoutSeconds}s`,
    [SETTINGS.window.name]: String(windowKeys),
    [SETTINGS.drainQuiet.name]: `${drainQuietSeconds}s`,
    [SETTINGS.heartbeatTimeout.name]: `${heartbeatTimeoutSeconds}s`,
  };
}

/** Settings that differ between two definitions, with the text that each has. */
export function differences(
  wanted: PipelineDefinition,
  running: PipelineDefinition,
): { setting: string; wanted: string; running: string }[] {
  const other = settingsOf(running);
  return Object.entries(settingsOf(wanted))
    .map(([setting, text]) => ({ setting, wanted: text, running: other[setting] ?? '' }))
    .filter((pair) => pair.wanted !== pair.running);
}

/**
 * Why a running pipeline can't have these settings; undefined where it can. Which pipeline it is and where its events
 * wait stay for good; where reading began stays once something was read.
 */
export function whyUnchangeable(
  wanted: PipelineDefinition,
  running: PipelineDefinition,
  { hasRead }: { hasRead: boolean },
): string | undefined {
  if (wanted.name !== running.name) return `this is the pipeline ${running.name}, not ${wanted.name}`;
  if (wanted.queue.name !== running.queue.name) {
    return `its lane reads the queue ${running.queue.name}; for ${wanted.queue.name} start a pipeline of another name`;
  }
  if (!hasRead) return undefined;
  if (!isSameStream(wanted.source.url, running.source.url)) {
    return (
      `it has read ${running.source.url}, and its cursor means nothing in another stream; for ${wanted.source.url} ` +
      'start a pipeline of another name'
    );
  }
  if (wanted.source.since !== running.source.since) {
    return `it has begun to read; for another ${SETTINGS.sourceSince.name} start a pipeline of another name`;
  }
  if ((wanted.source.key ?? '') !== (running.source.key ?? '')) {
    // What is sent again would have another key, and a second row.
    return `it has begun to read; for another ${SETTINGS.sourceKey.name} start a pipeline of another name`;
  }
  const settings = [settingsOf(wanted), settingsOf(running)];
  const [offsets, others] = settings.map((each) => each[SETTINGS.sourceOffsets.name]);
  if (offsets !== others) {
    return `it has begun to read; for other ${SETTINGS.sourceOffsets.name} start a pipeline of another name`;
  }
  return undefined;
}

/**
 * What is wrong with something that should be a definition; undefined where nothing is. Whoever sends an update by hand may
 * send anything, and one that breaks the workflow's code would stop it for good.
 */
export function whyMalformed(wanted: PipelineDefinition): string | undefined {
  try {
    const read = loadPipeline(settingsOf(wanted));
    return isJsonEqual(read, wanted) ? undefined : NOT_A_DEFINITION;
  } catch (error) {
    return error instanceof SettingsError ? error.message : NOT_A_DEFINITION;
  }
}

const NOT_A_DEFINITION = 'the argument is no pipeline definition; `sluice update` sends one';

function isJsonEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one, inOrder) === JSON.stringify(other, inOrder);
}

function inOrder(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
