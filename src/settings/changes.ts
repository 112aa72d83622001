import { type PipelineDefinition } from '../pipeline/definition';
import { EVERY_SETTING, loadPipeline } from './pipeline';
import { SettingsError } from './setting';

/** The settings with which {@link loadPipeline} gives this definition, as one would write them in `.env`. */
export function settingsOf(definition: PipelineDefinition): Record<string, string> {
  return Object.fromEntries(EVERY_SETTING.map(({ setting, textIn }) => [setting.name, textIn(definition)]));
}

/** Settings that differ between two definitions, with the text that each has. */
export function differences(
  wanted: PipelineDefinition,
  running: PipelineDefinition,
): { setting: string; wanted: string; running: string }[] {
  return EVERY_SETTING.map(({ setting, textIn }) => ({
    setting: setting.name,
    wanted: textIn(wanted),
    running: textIn(running),
  })).filter((pair) => pair.wanted !== pair.running);
}

/**
 * Why a running pipeline can't have these settings; undefined where it can. Each setting says when it may change: which
 * pipeline it is and where its events wait stay for good; where reading began stays once something was read.
 */
export function whyUnchangeable(
  wanted: PipelineDefinition,
  running: PipelineDefinition,
  { hasRead }: { hasRead: boolean },
): string | undefined {
  const never = EVERY_SETTING.filter(({ may }) => may === 'never');
  const untilRead = EVERY_SETTING.filter(({ may }) => may === 'until read');
  return [...never, ...(hasRead ? untilRead : [])]
    .map(({ whyFixed }) => whyFixed(wanted, running))
    .find((why) => why !== undefined);
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
