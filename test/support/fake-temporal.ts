import { Server, ServerCredentials, type status } from '@grpc/grpc-js';
import { HOST } from '../../local/ports';

export type Answer = (error: { code: status; details: string } | null, message?: Buffer) => void;

/** What a method of the WorkflowService does. */
export type Method = (answer: Answer, call: { metadata: { get(name: string): unknown[] } }) => void;

/** The message without any field. */
export const EMPTY = Buffer.of();

/**
 * A Temporal that answers by these functions alone, from the name of a method to what it does.
 *
 * @param credentials default: without TLS
 */
export async function startFakeTemporal(
  methods: Record<string, Method>,
  credentials = ServerCredentials.createInsecure(),
): Promise<{ address: string; close: () => void }> {
  const server = new Server();
  const bytes = (message: Buffer) => message;
  const entries = Object.entries(methods);
  const definitions = entries.map(([name]) => [
    name,
    {
      path: `/temporal.api.workflowservice.v1.WorkflowService/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    },
  ]);
  const handlers = entries.map(([name, method]) => [
    name,
    (call: Parameters<Method>[1], answer: Answer) => method(answer, call),
  ]);
  server.addService(Object.fromEntries(definitions), Object.fromEntries(handlers));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${HOST}:0`, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { address: `${HOST}:${port}`, close: () => server.forceShutdown() };
}
