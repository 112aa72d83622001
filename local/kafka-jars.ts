import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withLock } from './lock';
import { packageRoot } from '../src/package-root';
import { StackError } from './stack-error';

/** Apache Kafka's jars and the JVM that runs them. */
export interface KafkaJars {
  java: string;
  /** For `-cp`. */
  classPath: string;
}

/** The least that Kafka 4 brokers run on. */
const LEAST_JAVA = 17;

// tsc copies no XML, so the compiled code too uses the one in src.
const POM = path.join(packageRoot, 'local', 'kafka', 'pom.xml');
/** What `sha256sum` says of each jar that the pom leads to. */
const SUMS = path.join(packageRoot, 'local', 'kafka', 'jars.sha256');
const FOLDER = path.join(packageRoot, '.sluice', 'kafka');
const STAMP_FILE = path.join(FOLDER, 'sluice-stamp');

/** Pinned, since Maven takes the newest plugin otherwise. */
const COPY_DEPENDENCIES = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/**
 * Fetches the jars by Maven (43 MB, once), or returns at once where they are there. Several processes may call this at the same time.
 *
 * Java is `java`, or the one in JAVA_HOME.
 *
 * @throws StackError when Java or Maven is missing, or the jars can't be fetched or are not those that were tried
 */
export async function ensureKafkaJars({
  log = () => {},
}: { log?: (line: string) => void } = {}): Promise<KafkaJars> {
  const java = findJava();
  if (!isWhole()) {
    await withLock(`${FOLDER}.lock`, async () => {
      if (isWhole()) return; // fetched by the process that held the lock before
      log(`Fetching Apache Kafka into ${FOLDER}, once …`);
      await fetchJars();
      await writeFile(STAMP_FILE, stamp());
    });
  }
  return { java, classPath: path.join(FOLDER, 'lib', '*') };
}

/** Why there can be no Kafka on this machine; undefined where there can. */
export function whyNoKafka(): string | undefined {
  try {
    findJava();
    if (!isWhole()) requireMaven();
    return undefined;
  } catch (error) {
    if (error instanceof StackError) return error.message;
    throw error;
  }
}

function findJava(): string {
  const home = process.env['JAVA_HOME'];
  const java = home ? path.join(home, 'bin', 'java') : 'java';
  const { error, stderr } = spawnSync(java, ['-version'], { encoding: 'utf8' });
  const version = Number(/version "(\d+)/.exec(stderr)?.[1]);
  if (error || !(version >= LEAST_JAVA)) {
    throw new StackError(
      `Kafka needs Java ${LEAST_JAVA} or later, and ${java} is ${error ? 'missing' : `version ${version}`}: ` +
        'install it (on Debian and Ubuntu: apt install default-jre-headless), or set JAVA_HOME.',
    );
  }
  return java;
}

function requireMaven(): void {
  if (!spawnSync('mvn', ['-version']).error) return;
  throw new StackError("Kafka's jars come by Maven: install it (on Debian and Ubuntu: apt install maven).");
}

function stamp(): string {
  return createHash('sha256').update(readFileSync(POM)).update(readFileSync(SUMS)).digest('hex');
}

/** Whether the jars are there that pom and sums name. */
function isWhole(): boolean {
  try {
    return readFileSync(STAMP_FILE, 'utf8') === stamp();
  } catch {
    return false;
  }
}

async function fetchJars(): Promise<void> {
  requireMaven();
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  // Maven writes next to the pom, and the package may be read-only.
  const pom = path.join(FOLDER, 'pom.xml');
  await copyFile(POM, pom);
  const lib = path.join(FOLDER, 'lib');
  const { failed, output } = await run('mvn', [
    '--quiet',
    '--batch-mode',
    '--file',
    pom,
    COPY_DEPENDENCIES,
    `-DoutputDirectory=${lib}`,
  ]);
  if (!failed) {
    const wrong = await otherJars(lib, await readFile(SUMS, 'utf8'));
    if (wrong.length === 0) return;
    await rm(FOLDER, { recursive: true, force: true });
    throw new StackError(
      `Maven fetched other jars than those that Sluice was tried with (${wrong.join(', ')}): nothing of them was run. ` +
        'Ask whoever runs the Maven repository of this machine, and see local/kafka/jars.sha256.',
    );
  }
  const [reason = 'it does not say why'] = output.split('\n').filter((line) => line.startsWith('[ERROR]'));
  throw new StackError(
    `Maven could not fetch Kafka (${reason}): check that this machine reaches a Maven repository, and start again.`,
  );
}

/**
 * Maven knows no lock file: a repository may answer with whatever it likes.
 *
 * @param sums lines as `sha256sum` writes them: digest, two blanks, name
 * @returns names of files in the folder that have another digest or none, and of those that are missing
 */
export async function otherJars(folder: string, sums: string): Promise<string[]> {
  const expected = new Map(
    sums
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(66), line.slice(0, 64)] as const),
  );
  const found = await readdir(folder).catch(() => []);
  const digests = new Map<string, string>();
  for (const name of found) {
    const content = await readFile(path.join(folder, name));
    digests.set(name, createHash('sha256').update(content).digest('hex'));
  }
  const names = new Set([...expected.keys(), ...found]);
  return [...names].filter((name) => expected.get(name) !== digests.get(name)).sort();
}

function run(command: string, args: string[]): Promise<{ failed: boolean; output: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: packageRoot }, (error, stdout, stderr) => {
      resolve({ failed: error !== null, output: stdout + stderr });
    });
  });
}
