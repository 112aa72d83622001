import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, HOST } from '../../local/ports';
import { ensurePythonEnvironment } from '../../local/python';
import { packageRoot } from '../../src/package-root';
import { startServerProcess } from '../../local/server-process';

export const RULES = join(packageRoot, 'deploy/prometheus');

/** One series of an instant vector; NaN is a value, too. */
export interface Sample {
  metric: Record<string, string>;
  value: number;
}

export interface Rule {
  type: 'alerting' | 'recording';
  name: string;
  query: string;
  health: string;
  lastError?: string;
  /** Of an alert. */
  state?: 'inactive' | 'pending' | 'firing';
}

/** @returns this machine's `prometheus` and `promtool`, on PATH; undefined: it has none */
export function findPrometheus(): { prometheus: string; promtool: string } | undefined {
  const [prometheus, promtool] = ['prometheus', 'promtool'].map(onPath);
  return prometheus && promtool ? { prometheus, promtool } : undefined;
}

/** @throws with what it printed, when promtool finds something wrong */
export async function promtool(executable: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(executable, args, { cwd: RULES })).stdout;
}

/** A Prometheus that scrapes every second, with the alert rules as they are deployed. */
export class Prometheus {
  readonly #url: string;
  readonly stop: () => Promise<void>;

  private constructor(url: string, stop: () => Promise<void>) {
    this.#url = url;
    this.stop = stop;
  }

  /**
   * @param folder empty, for its configuration and data
   * @param target address of a worker's endpoint
   */
  static async start(executable: string, folder: string, target: string): Promise<Prometheus> {
    const port = await freePort();
    const configuration = join(folder, 'prometheus.yml');
    await writeFile(
      configuration,
      // JSON is YAML.
      JSON.stringify({
        global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
        rule_files: [join(RULES, 'alerts.yml')],
        scrape_configs: [{ job_name: 'sluice', static_configs: [{ targets: [target] }] }],
      }),
    );
    const url = `http://${HOST}:${port}`;
    const { python } = await ensurePythonEnvironment();
    const server = await startServerProcess({
      name: 'Prometheus',
      python,
      command: [
        executable,
        `--config.file=${configuration}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${HOST}:${port}`,
        '--log.level=warn',
      ],
      probe: async () => {
        const { ok } = await fetch(`${url}/-/ready`);
        if (!ok) throw new Error('not ready');
      },
    });
    return new Prometheus(url, () => server.stop());
  }

  /** @throws Error with what Prometheus says of a query that it can't evaluate */
  async query(expression: string): Promise<Sample[]> {
    const { result, resultType } = await this.#get<{
      resultType: string;
      result: { metric: Record<string, string>; value: [number, string] }[];
    }>(`query?query=${encodeURIComponent(expression)}`);
    if (resultType !== 'vector') throw new Error(`${expression} gives a ${resultType}`);
    return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
  }

  async rules(): Promise<Rule[]> {
    const { groups } = await this.#get<{ groups: { rules: Rule[] }[] }>('rules');
    return groups.flatMap(({ rules }) => rules);
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const answer = (await response.json()) as { data: T; error?: string };
    if (answer.error !== undefined) throw new Error(`${decodeURIComponent(path)}: ${answer.error}`);
    return answer.data;
  }
}

function onPath(name: string): string | undefined {
  const files = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  return files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
