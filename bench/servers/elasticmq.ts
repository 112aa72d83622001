import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { freePort, HOST } from '../../local/ports';
import { ensurePythonEnvironment } from '../../local/python';
import { type ServerProcess, startServerProcess } from '../../local/server-process';
import { cached, copyInto, run, type Say } from '../cache';

const POM = path.join(__dirname, '../elasticmq/pom.xml');

/**
 * ElasticMQ, an SQS in memory that stays fast with 100,000 messages waiting. Fetched by Maven, once.
 *
 * @param folder for its configuration
 */
export async function startElasticMq(folder: string, say: Say): Promise<ServerProcess & { url: string }> {
  const home = await cached(
    {
      name: 'elasticmq-1.7.1',
      inputs: [POM],
      says: 'Fetching ElasticMQ with Maven, once …',
      make: async (target) => {
        await copyInto(target, [POM]);
        const copy = ['-DoutputDirectory=lib', '-DincludeScope=runtime'];
        await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', ...copy], {
          cwd: target,
          needs: 'Maven 3 and Java 17',
        });
      },
    },
    say,
  );
  const port = await freePort();
  const configuration = path.join(folder, 'elasticmq.conf');
  await mkdir(folder, { recursive: true });
  await writeFile(
    configuration,
    [
      `node-address { protocol = http, host = "${HOST}", port = ${port} }`,
      `rest-sqs { enabled = true, bind-port = ${port}, bind-hostname = "${HOST}", sqs-limits = strict }`,
      'rest-stats { enabled = false }',
      '',
    ].join('\n'),
  );
  const url = `http://${HOST}:${port}`;
  const { python } = await ensurePythonEnvironment({ log: say });
  const server = await startServerProcess({
    name: 'ElasticMQ',
    python,
    command: [
      'java',
      '-Xmx1g',
      `-Dconfig.file=${configuration}`,
      '-cp',
      `${path.join(home, 'lib')}/*`,
      'org.elasticmq.server.Main',
    ],
    probe: () => fetch(`${url}/?Action=ListQueues`, { signal: AbortSignal.timeout(1_000) }),
  });
  return { ...server, url };
}
