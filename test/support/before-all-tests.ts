import { ensurePythonEnvironment } from '../../src/local/python';

/** Temporal's and moto's servers are fetched once, before the first test and without its timeout. */
export async function mochaGlobalSetup(): Promise<void> {
  await ensurePythonEnvironment();
}
