import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { otherJars } from '../../local/kafka-jars';
import { sha256 } from '../support/sha256';

describe("Kafka's jars", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-jars-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  const SUMS = `${sha256('one')}  one.jar\n${sha256('two')}  two-1.2.jar\n`;

  it('are those that are listed, and no others', async () => {
    await writeFile(join(folder, 'one.jar'), 'one');
    assert.deepEqual(await otherJars(folder, SUMS), ['two-1.2.jar'], 'one is missing');
    await writeFile(join(folder, 'two-1.2.jar'), 'two');
    assert.deepEqual(await otherJars(folder, SUMS), []);
    await writeFile(join(folder, 'two-1.2.jar'), 'another');
    await writeFile(join(folder, 'three.jar'), 'three');
    assert.deepEqual(await otherJars(folder, SUMS), ['three.jar', 'two-1.2.jar']);
  });

  it('are all missing where Maven made no folder', async () => {
    assert.deepEqual(await otherJars(join(folder, 'none'), SUMS), ['one.jar', 'two-1.2.jar']);
  });
});
