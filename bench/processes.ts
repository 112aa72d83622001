import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ensurePythonEnvironment } from '../local/python';
import { packageRoot } from '../src/package-root';

const TETHER = path.join(packageRoot, 'local/tether.py');

/** Ticks of /proc/…/stat in a second: USER_HZ is 100 on every Linux that Node runs on (proc(5)). */
const TICKS_PER_SECOND = 100;

/** CPU time and peak memory of a process and of those that it started. */
export interface Usage {
  cpuMs: number;
  peakRssMb: number;
}

/** A process that a measurement started. */
export interface BenchProcess {
  pid: number;
  /** @throws Error with the end of its log when it has ended by itself */
  requireAlive(): void;
  /** Ends it, after some seconds with SIGKILL. Resolves when it is gone. */
  stop(): Promise<void>;
  /** Resolves when it is gone. */
  gone: Promise<unknown>;
}

export interface StartOptions {
  command: [string, ...string[]];
  env: Record<string, string>;
  cwd: string;
  /** A file that gets all that it writes. */
  log: string;
}

/** Starts a process that inherits PATH and HOME and nothing else, and that ends when this one does, however that ends. */
export async function startProcess({ command, env, cwd, log }: StartOptions): Promise<BenchProcess> {
  const { python } = await ensurePythonEnvironment();
  const tether = spawn(python, ['-I', TETHER, ...command], {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    // A terminal's Ctrl-C goes to the whole group: whoever started a process decides when it ends.
    detached: true,
  });
  tether.stderr.pipe(createWriteStream(log, { flags: 'a' }));
  const gone = once(tether, 'close');
  const [line] = (await Promise.race([
    once(createInterface({ input: tether.stdout }), 'line'),
    gone.then(() => Promise.reject(new Error(`${command[0]} could not be started: see ${log}`))),
  ])) as [string];
  return {
    pid: Number(line),
    gone,
    requireAlive: () => {
      if (isGone(tether)) throw new Error(`${command[0]} ended by itself (${tether.exitCode}): see ${log}`);
    },
    stop: async () => {
      tether.stdin.destroy(); // The tether reads the end of its stdin.
      await gone;
    },
  };
}

/** Starts one of the benchmark's own TypeScript programs, and waits for the first line that it prints. */
export async function startProgram(
  program: string,
  args: string[],
  nodeOptions: readonly string[] = [],
): Promise<BenchProcess & { line: string; lines: (listener: (line: string) => void) => void }> {
  const child = spawn(process.execPath, [...nodeOptions, '--import', 'tsx', program, ...args], {
    // It ends at the end of its stdin, and so with this process.
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const gone = once(child, 'exit');
  const [line] = (await Promise.race([
    once(lines, 'line'),
    gone.then(() => Promise.reject(new Error(`${program} ended before it was ready`))),
  ])) as [string];
  return {
    pid: child.pid ?? 0,
    gone,
    line,
    lines: (listener) => lines.on('line', listener),
    requireAlive: () => {
      if (isGone(child)) throw new Error(`${program} ended by itself (${child.exitCode})`);
    },
    stop: async () => {
      if (isGone(child)) return;
      child.stdin.end();
      await gone;
    },
  };
}

/** Of a process with its children; zeros once it is gone. */
export function usageOf(pid: number): Usage {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field may hold blanks; the third begins after its bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
    const ticks = (user ?? 0) + (system ?? 0) + (childrenUser ?? 0) + (childrenSystem ?? 0);
    const [, peak = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return { cpuMs: (ticks * 1_000) / TICKS_PER_SECOND, peakRssMb: Number(peak) / 1024 };
  } catch {
    return { cpuMs: 0, peakRssMb: 0 };
  }
}

function isGone({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
