import type { PipelineDefinition } from '../../src/pipeline/definition';

/** A pipeline for tests with fakes: two columns, small waits. */
export function definitionOf(overrides: Partial<PipelineDefinition> = {}): PipelineDefinition {
  return {
    name: 'test',
    source: { url: 'http://127.0.0.1:9/stream', contact: 'test@example.org' },
    queue: { name: 'queue', visibilityTimeoutSeconds: 8 },
    lake: {
      bucket: 'lake',
      prefix: 'raw',
      columns: [
        { name: 'key', path: 'key' },
        { name: 'text', path: 'text' },
      ],
      keyColumn: true,
      escapeFormulas: false,
    },
    packEvents: 1,
    batch: { rows: 100, flushAfterSeconds: 1 },
    windowKeys: 30_000,
    drainQuietSeconds: 0.2,
    heartbeatTimeoutSeconds: 5,
    ...overrides,
  };
}
