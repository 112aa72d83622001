import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { freePort, HOST } from '../../local/ports';
import { ensurePythonEnvironment } from '../../local/python';
import { type ServerProcess, startServerProcess } from '../../local/server-process';
import { cached, run, type Say } from '../cache';

const VERSION = 'v0.0.0-20260212201848-7aac2a2c5b7c';

/** Of MinIO's root user, and so of every client: ElasticMQ takes any. */
export const CREDENTIALS = { accessKeyId: 'sluice-bench', secretAccessKey: 'sluice-bench-secret' };

/**
 * MinIO, an S3 on a disk that keeps `If-None-Match`. Built by Go, once.
 *
 * @param folder for its objects
 */
export async function startMinio(folder: string, say: Say): Promise<ServerProcess & { url: string }> {
  const home = await cached(
    {
      name: `minio-${VERSION}`,
      inputs: [],
      says: 'Building MinIO with Go, once: about six minutes …',
      make: async (target) => {
        await run('go', ['install', '-trimpath', '-ldflags=-s -w', `github.com/minio/minio@${VERSION}`], {
          env: { GOBIN: target },
          needs: 'Go 1.24 or later',
        });
      },
    },
    say,
  );
  const [port, consolePort] = [await freePort(), await freePort()];
  const url = `http://${HOST}:${port}`;
  const objects = path.join(folder, 'minio');
  await mkdir(objects, { recursive: true });
  const { python } = await ensurePythonEnvironment({ log: say });
  const listen = ['--address', `${HOST}:${port}`, '--console-address', `${HOST}:${consolePort}`];
  const server = await startServerProcess({
    name: 'MinIO',
    python,
    command: [
      'env',
      `MINIO_ROOT_USER=${CREDENTIALS.accessKeyId}`,
      `MINIO_ROOT_PASSWORD=${CREDENTIALS.secretAccessKey}`,
      'MINIO_BROWSER=off',
      path.join(home, 'minio'),
      'server',
      '--quiet',
      ...listen,
      objects,
    ],
    probe: async () => {
      const response = await fetch(`${url}/minio/health/ready`, { signal: AbortSignal.timeout(1_000) });
      if (!response.ok) throw new Error(`MinIO answers ${response.status}`);
    },
  });
  return { ...server, url };
}
