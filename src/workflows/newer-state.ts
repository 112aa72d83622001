import {
  allHandlersFinished,
  condition,
  log,
  metricMeter,
  patched,
  setCurrentDetails,
} from '@temporalio/workflow';
import { metersOf } from '../metrics';
import type { PipelineDefinition } from '../pipeline/definition';
import type { SIGNALS, WORKFLOWS } from '../pipeline/names';
import { problemDetails } from './details';
import { handleMessages } from './messages';
import { neverEnding } from './never-ending';
import { refused } from './refusals';
import { SearchAttributes } from './search-attributes';

/** Signals that came while nobody could act on them, in their order. */
export type Asked = readonly (keyof typeof SIGNALS)[];

const FIRST_SCHEMA = 1;
const WAIT_MS = 10 * 60_000;

/**
 * Why this worker must not read the state that its run was given: a newer one wrote it, as after a roll-back, or while workers are
 * replaced. Older code would take it for something else, in silence.
 *
 * A run that an older worker began is parked for all of its life, under a newer worker too, which would replay it otherwise. That is what
 * the patch tells: a worker that could read the schema when the run began has marked it.
 *
 * @param schema of the state; undefined where there is none
 * @param known the newest schema that this worker can read
 * @returns undefined where it can read it
 */
export function whyUnreadable(schema: number | undefined, known: number): string | undefined {
  if (schema === undefined || schema === FIRST_SCHEMA) return undefined;
  if (schema <= known && patched(`schema-${schema}`)) return undefined;
  return (
    `This worker is older than the state that it was given (schema ${schema}, and it can read ${known}): ` +
    'deploy the newer version again, then resume'
  );
}

/**
 * Parks a workflow that can't read its state until it is worth trying again: ten minutes, or a `resume`. Nothing that a person asks
 * meanwhile is lost.
 *
 * @param problem see {@link whyUnreadable}
 * @param status of a workflow that has done nothing: what this one has done is not known
 * @param asked what it was asked before
 * @returns what it was asked, for the next run, which gets the state as it is
 */
export async function parkUntilNewer(
  workflow: keyof typeof WORKFLOWS,
  problem: string,
  status: { definition: PipelineDefinition },
  asked: Asked,
): Promise<Asked> {
  const parked = { ...status, activity: 'parked' as const, problem };
  const all = [...asked];
  let isWoken = false;
  const note = (signal: Asked[number]) => () => {
    all.push(signal);
    isWoken ||= signal === 'resume' || signal === 'start';
  };
  const refuse = () => {
    throw refused(problem);
  };
  const later = 'Asked of the next run';
  handleMessages(
    {
      start: note('start'),
      stop: note('stop'),
      pause: note('pause'),
      resume: note('resume'),
      ...(workflow === 'batch' ? { flush: note('flush') } : {}),
      status: () => parked,
      update: refuse,
      remove: refuse,
      whyKept: () => problem,
      hasRead: () => true,
    },
    { start: later, stop: later, pause: later, status: 'Why it is parked' },
  );
  log.warn('Parked', { doing: 'read its state', problem });
  const meters = metersOf(metricMeter, parked.definition.name);
  meters.parked(1, { workflow });
  setCurrentDetails(problemDetails(parked));
  new SearchAttributes().show(parked);
  await neverEnding(note('stop'), async () => {
    await condition(() => isWoken, WAIT_MS, { summary: 'parked: the next try' });
    await condition(allHandlersFinished);
  });
  // The next run may go to another worker.
  meters.close();
  return all;
}
