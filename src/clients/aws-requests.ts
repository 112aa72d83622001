import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { PROCESS_METRICS } from '../metrics';

/** The part of an SDK's meter that is needed here. */
interface Meter {
  createCounter(
    name: string,
    unit?: string,
    description?: string,
  ): { add(value: number, tags?: Record<string, string>): void };
}

/** A code such as `RequestTimeout`. Anything else would make a series of every wording. */
const CODE = /^\w{1,64}$/;

/**
 * Counts what AWS is asked and how it answers: what is paid for, and what goes wrong before it is tried again. Entries that a
 * batch call refuses under HTTP 200 are the business of whoever sent them.
 */
export function countRequests({ sqs, s3 }: { sqs: SQSClient; s3: S3Client }, meter: Meter): void {
  const { name, meaning } = PROCESS_METRICS.awsRequests;
  const counter = meter.createCounter(name, undefined, meaning);
  const count = (service: string, command: string | undefined) => (outcome: string) => {
    counter.add(1, { service, operation: String(command).replace(/Command$/, ''), outcome });
  };
  // The step that reads the answer is passed once for each try, and its front sees what the others throw.
  const options = { step: 'deserialize', priority: 'high', name: 'sluiceCountRequests' } as const;
  sqs.middlewareStack.add(
    (next, { commandName }) =>
      (request) =>
        counted(() => next(request), count('sqs', commandName)),
    options,
  );
  s3.middlewareStack.add(
    (next, { commandName }) =>
      (request) =>
        counted(() => next(request), count('s3', commandName)),
    options,
  );
}

async function counted<T>(request: () => Promise<T>, count: (outcome: string) => void): Promise<T> {
  try {
    const answer = await request();
    count('ok');
    return answer;
  } catch (error) {
    const code = error instanceof Error && CODE.test(error.name) ? error.name : 'Error';
    count(code);
    throw error;
  }
}
