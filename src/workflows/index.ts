export { batch } from './batch';
export { ingest } from './ingest';
