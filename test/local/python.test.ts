import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensurePythonEnvironment } from '../../local/python';
import { StackError } from '../../local/stack-error';

describe('ensurePythonEnvironment', () => {
  const saved = process.env['SLUICE_PYTHON'];
  let scratch: string;
  let folder: string;

  beforeEach(async () => {
    scratch = await mkdtemp(path.join(tmpdir(), 'sluice-python-'));
    folder = path.join(scratch, 'venv');
  });

  afterEach(async () => {
    if (saved === undefined) delete process.env['SLUICE_PYTHON'];
    else process.env['SLUICE_PYTHON'] = saved;
    await rm(scratch, { recursive: true });
  });

  /**
   * Names a shell script as the interpreter: it tells `version` and runs `venv` for `-m venv --clear FOLDER`, with
   * the folder in $4. `calls` in the scratch folder gets a line for each environment made.
   */
  async function useFakePython(version: string, venv = installsWith('exit 0')): Promise<void> {
    const script = path.join(scratch, 'python3');
    const lines = [
      '#!/bin/sh',
      `if [ "$1" = -c ]; then echo ${version}; exit; fi`,
      `echo made >> ${scratch}/calls`,
      venv,
    ];
    await writeFile(script, lines.join('\n'), { mode: 0o755 });
    process.env['SLUICE_PYTHON'] = script;
  }

  /** Makes an environment whose python, asked to run pip, runs `pip`. */
  function installsWith(pip: string): string {
    return `mkdir -p "$4/bin"; printf '#!/bin/sh\\n%s\\n' '${pip}' > "$4/bin/python"; chmod +x "$4/bin/python"`;
  }

  async function timesMade(): Promise<number> {
    return (await readFile(path.join(scratch, 'calls'), 'utf8')).trim().split('\n').length;
  }

  async function messageOfFailure(): Promise<string> {
    const error: unknown = await ensurePythonEnvironment({ folder }).catch((error: unknown) => error);
    assert.ok(error instanceof StackError);
    return error.message;
  }

  it('makes the real environment once', async function () {
    this.timeout('5m');
    const { python, temporal } = await ensurePythonEnvironment();
    const { mtimeMs } = await stat(python);
    const lines: string[] = [];
    await ensurePythonEnvironment({ log: (line) => lines.push(line) });
    assert.deepEqual(lines, []);
    assert.equal((await stat(python)).mtimeMs, mtimeMs);
    assert.ok((await stat(temporal)).isFile());
  });

  it('makes the environment anew when the interpreter has another version', async () => {
    await useFakePython('3.11.7');
    await ensurePythonEnvironment({ folder });
    await ensurePythonEnvironment({ folder });
    assert.equal(await timesMade(), 1);
    await useFakePython('3.12.0');
    await ensurePythonEnvironment({ folder });
    assert.equal(await timesMade(), 2);
  });

  it('makes the environment anew when the installation failed half-way', async () => {
    await useFakePython('3.11.7', installsWith('exit 1'));
    await assert.rejects(ensurePythonEnvironment({ folder }), StackError);
    await useFakePython('3.11.7');
    await ensurePythonEnvironment({ folder });
    assert.equal(await timesMade(), 2);
  });

  it('makes the environment once for two callers at the same time', async () => {
    await useFakePython('3.11.7');
    await Promise.all([ensurePythonEnvironment({ folder }), ensurePythonEnvironment({ folder })]);
    assert.equal(await timesMade(), 1);
    assert.deepEqual(await readdir(`${folder}.lock`), []);
  });

  it('takes over the lock of a process that died', async () => {
    await useFakePython('3.11.7');
    const dead = spawnSync('true').pid;
    await mkdir(`${folder}.lock`);
    await writeFile(path.join(`${folder}.lock`, String(dead)), '');
    await ensurePythonEnvironment({ folder });
    assert.equal(await timesMade(), 1);
  });

  it('says in a sentence that there is no Python', async () => {
    process.env['SLUICE_PYTHON'] = '/nonexistent';
    assert.equal(
      await messageOfFailure(),
      'No Python was found as /nonexistent: install Python 3.10 or later, or name one in SLUICE_PYTHON.',
    );
  });

  it('says in a sentence that Python is too old', async () => {
    await useFakePython('3.9.18');
    assert.match(
      await messageOfFailure(),
      /python3 is Python 3\.9\.18, which is too old: install Python 3\.10/,
    );
  });

  it('says in a sentence that ensurepip is missing', async () => {
    await useFakePython('3.11.7', 'echo "because ensurepip is not available."; exit 1');
    assert.match(await messageOfFailure(), /lacks ensurepip .*apt install python3-venv\)\.$/);
  });

  it('says in a sentence what pip said last', async () => {
    const pip = 'echo "ERROR: No such version"; echo "ERROR: No matching distribution"; echo bye; exit 1';
    await useFakePython('3.11.7', installsWith(pip));
    assert.match(await messageOfFailure(), /^pip could not install .* \(No matching distribution\): check /);
  });
});
