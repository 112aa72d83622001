import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { packageRoot } from '../src/package-root';
import { StackError } from './stack-error';

// tsc copies no .py file, so the compiled code too runs the one in src.
const TETHER = path.join(packageRoot, 'local', 'tether.py');
const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
const LAST_LINES = 5;

/** A server that answers, and that ends when this process does, even by SIGKILL. */
export interface ServerProcess {
  /** The server's own process, not the tether's. */
  pid: number;
  /** Ends the server with SIGTERM, after five seconds with SIGKILL. Resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends the server with SIGKILL, as a crash would. Resolves when it is gone. */
  kill(): Promise<void>;
}

export interface ServerProcessOptions {
  /** What to call the server in errors. */
  name: string;
  /** The interpreter that runs the tether. */
  python: string;
  /** The server's executable and its arguments. */
  command: string[];
  /** Resolves when the server answers, rejects as long as it does not. Must settle within about a second. */
  probe: () => Promise<unknown>;
}

/**
 * Starts a server and waits until it answers.
 *
 * @throws StackError, with the last lines that the server wrote, when it ends or does not answer within 60 s
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { name, python, command, probe } = options;
  // Detached, because a terminal's Ctrl-C goes to the whole group: whoever started the server decides when it ends.
  const tether = spawn(python, ['-I', TETHER, ...command], { detached: true });
  const lastLines: string[] = [];
  const pidLine = once(createInterface({ input: tether.stdout }), 'line');
  createInterface({ input: tether.stderr }).on('line', (line) => {
    lastLines.push(line);
    if (lastLines.length > LAST_LINES) lastLines.shift();
  });
  const gone = once(tether, 'close');
  const isRunning = () => tether.exitCode === null && tether.signalCode === null;

  const stop = async () => {
    tether.stdin.destroy(); // The tether reads the end of its stdin.
    await gone;
  };

  const deadline = Date.now() + READY_TIMEOUT_MS;
  let ready = false;
  while (!ready && isRunning() && Date.now() < deadline) {
    await Promise.race([delay(POLL_MS), gone]);
    ready = await answers(probe);
  }
  // Checked again, because another program may have answered on the port that this server did not get.
  if (!ready || !isRunning()) {
    const what = isRunning()
      ? `did not answer within ${READY_TIMEOUT_MS / 1000} s`
      : 'ended before it answered';
    await stop();
    throw new StackError(
      `${name} ${what}: correct what it wrote last, and start again.\n${lastLines.join('\n')}`,
    );
  }

  const [line] = await pidLine; // The tether wrote it before the server could answer.
  const pid = Number(line);
  const kill = async () => {
    if (isRunning()) process.kill(pid, 'SIGKILL');
    await gone;
  };
  return { pid, stop, kill };
}

async function answers(probe: () => Promise<unknown>): Promise<boolean> {
  try {
    await probe();
    return true;
  } catch {
    return false;
  }
}
