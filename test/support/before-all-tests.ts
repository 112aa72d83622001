import { ensureKafkaJars, whyNoKafka } from '../../local/kafka-jars';
import { ensurePythonEnvironment } from '../../local/python';

/** What the servers of the tests are made of is fetched once, before the first test and outside its timeout. */
export async function mochaGlobalSetup(): Promise<void> {
  await ensurePythonEnvironment();
  if (whyNoKafka() === undefined) await ensureKafkaJars();
}
