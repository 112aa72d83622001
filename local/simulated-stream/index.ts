export { awkwardTexts } from './awkward-text';
export { planRun } from './server';
export type { BrokenKind } from './events';
export type { BrokenEvent, Ledger, PublishedEvent } from './ledger';
export {
  type ScheduledRefusal,
  type SeenRequest,
  SimulatedStream,
  type SimulatedStreamOptions,
  startSimulatedStream,
} from './server';
