/** An SQS server that is stricter than moto: it says yes to a stale deletion and keeps the message, as AWS may. */
export interface StrictSqs {
  url: string;
  /** Account in the URLs of its queues. */
  account: string;
  close(): Promise<void>;
}

export async function startStrictSqs(): Promise<StrictSqs> {
  // An ES module only.
  const { buildApp } = await import('fauxqs');
  const app = buildApp({ logger: false });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, account: '000000000000', close: async () => await app.close() };
}
