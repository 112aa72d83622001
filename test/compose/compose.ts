import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../src/package-root';

const run = promisify(execFile);

/** One container of a project. */
export interface Container {
  id: string;
  /** On the machine that the engine runs on; 0 when it does not run. */
  pid: number;
  /** `running`, `exited` and so on. */
  state: string;
  exitCode: number;
  /** `healthy`, `unhealthy`, `starting`; undefined without a health check. */
  health: string | undefined;
  /** How often the restart policy has started it again. */
  restarts: number;
  startedAt: string;
}

interface Inspected {
  Id: string;
  RestartCount: number;
  State: { Pid: number; Status: string; ExitCode: number; StartedAt: string; Health?: { Status: string } };
}

/** @returns why there can be no compose test here; undefined: there can */
export async function engineMissing(): Promise<string | undefined> {
  try {
    await run('docker', ['version']);
    await run('docker', ['compose', 'version']);
    return undefined;
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    return stderr.trim().split('\n').at(-1) || String(error);
  }
}

/** A project of `docker compose`: some of this repository's files, its own ports, and nothing of this machine's settings. */
export class ComposeProject {
  constructor(
    readonly name: string,
    readonly files: readonly string[],
    /** For the files' `${…}`. */
    private readonly variables: Readonly<Record<string, string>>,
  ) {}

  /** `docker compose …`; rejects, with what it wrote, when it exits with another code than 0. */
  async compose(...args: string[]): Promise<string> {
    const files = this.files.flatMap((file) => ['--file', join(packageRoot, file)]);
    return await this.docker('compose', '--project-name', this.name, ...files, ...args);
  }

  async docker(...args: string[]): Promise<string> {
    const { PATH, HOME, DOCKER_HOST, DOCKER_CONFIG, DOCKER_CONTEXT } = process.env;
    const engine = { PATH, HOME, DOCKER_HOST, DOCKER_CONFIG, DOCKER_CONTEXT };
    const { stdout } = await run('docker', args, {
      env: { ...engine, ...this.variables },
      cwd: packageRoot,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  }

  /** Containers of a service, those that have ended among them. */
  async containers(service: string): Promise<Container[]> {
    const ids = (await this.compose('ps', '--all', '--quiet', service)).split('\n').filter(Boolean);
    if (ids.length === 0) return [];
    const inspected = JSON.parse(await this.docker('inspect', ...ids)) as Inspected[];
    return inspected.map(({ Id, State, RestartCount }) => ({
      id: Id,
      pid: State.Pid,
      state: State.Status,
      exitCode: State.ExitCode,
      health: State.Health?.Status,
      restarts: RestartCount,
      startedAt: State.StartedAt,
    }));
  }

  /** The only container of a service. */
  async container(service: string): Promise<Container> {
    const [container, other] = await this.containers(service);
    if (!container || other) throw new Error(`${service} has ${container ? 'several' : 'no'} containers`);
    return container;
  }
}
