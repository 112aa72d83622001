import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ensureKafkaJars, type KafkaJars } from './kafka-jars';
import { freePort, HOST, requireFreePort } from './ports';
import { ensurePythonEnvironment } from './python';
import { connectOnce } from './reachable';
import { type ServerProcess, startServerProcess } from './server-process';

/** One node of an Apache Kafka: broker and, where it is the first or only one, controller in one process. */
export interface KafkaServer {
  /** `host:port` for clients. */
  broker: string;
  port: number;
  /** The server's process; another one after a restart. */
  pid: number;
  /** Ends the server with SIGKILL, as a crash would. Its log stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port and log. */
  restart(): Promise<void>;
  /** Ends the server and deletes its log. */
  stop(): Promise<void>;
}

/** A further way to a broker. */
export interface KafkaListener {
  protocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
  port: number;
  /** The port that clients are told, where something stands between. Default: its own. */
  advertised?: number;
}

/** A node of a cluster of several. */
export interface KafkaNode {
  /** The node 1 is the controller, and must be there before the others. */
  id: number;
  /** See {@link newClusterId}. */
  clusterId: string;
  /** Where the node 1 talks to the others as their controller. */
  controllerPort: number;
}

export interface KafkaServerOptions {
  /** Default: the only node of a cluster. */
  node?: KafkaNode | undefined;
  /** Default: a free port. */
  port?: number | undefined;
  /** Settings of the broker by name, for instance `{ 'num.partitions': 3 }`. */
  settings?: Readonly<Record<string, string | number>> | undefined;
  /** Further listeners by their name, such as `SASL`; settings say the rest of them. */
  listeners?: Readonly<Record<string, KafkaListener>> | undefined;
  /** Credentials that are there from the beginning, as `kafka-storage format --add-scram` takes them. */
  scram?: readonly string[] | undefined;
  /** Arguments of the JVM. */
  jvm?: readonly string[] | undefined;
  /** Told when something slow begins. Default: nothing is told. */
  log?: ((line: string) => void) | undefined;
}

/**
 * Starts Apache Kafka on 127.0.0.1 with an empty log and waits until it takes connections: some 4 s, once the jars are there.
 *
 * @throws StackError when a named port is in use, Java or Maven is missing, or Kafka does not start
 */
export async function startKafkaServer(options: KafkaServerOptions = {}): Promise<KafkaServer> {
  const { port = await freePort(), settings = {}, listeners = {}, scram = [], jvm = [], log } = options;
  const { node = { id: 1, clusterId: newClusterId(), controllerPort: await freePort() } } = options;
  await requireFreePort(port, 'Kafka');
  const jars = await ensureKafkaJars(log ? { log } : {});
  const { python } = await ensurePythonEnvironment({ log });
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-kafka-'));
  const properties = path.join(folder, 'server.properties');
  await writeFile(
    properties,
    propertiesOf({ ...(await defaults(folder, port, listeners, node)), ...settings }),
  );
  await format(jars, properties, node.clusterId, scram);

  const launch = () =>
    startServerProcess({
      name: 'Kafka',
      python,
      command: [jars.java, '-Xmx512m', ...jvm, '-cp', jars.classPath, 'kafka.Kafka', properties],
      probe: () => connectOnce({ host: HOST, port }, 1_000),
    });
  let server: ServerProcess = await launch();
  return {
    broker: `${HOST}:${port}`,
    port,
    get pid() {
      return server.pid;
    },
    kill: () => server.kill(),
    restart: async () => {
      server = await launch();
    },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function defaults(
  folder: string,
  port: number,
  others: NonNullable<KafkaServerOptions['listeners']>,
  { id, controllerPort }: KafkaNode,
): Promise<Record<string, string | number>> {
  const logs = path.join(folder, 'logs');
  await mkdir(logs);
  const listeners: Record<string, KafkaListener> = { PLAIN: { protocol: 'PLAINTEXT', port }, ...others };
  const addresses = Object.entries(listeners).map(([name, each]) => `${name}://${HOST}:${each.port}`);
  const advertised = Object.entries(listeners).map(
    ([name, each]) => `${name}://${HOST}:${each.advertised ?? each.port}`,
  );
  const protocols = Object.entries(listeners).map(([name, { protocol }]) => `${name}:${protocol}`);
  const isController = id === 1;
  return {
    'process.roles': isController ? 'broker,controller' : 'broker',
    'node.id': id,
    'controller.quorum.voters': `1@${HOST}:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: [...addresses, ...(isController ? [`CONTROLLER://${HOST}:${controllerPort}`] : [])].join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': [...protocols, 'CONTROLLER:PLAINTEXT'].join(','),
    'inter.broker.listener.name': 'PLAIN',
    'log.dirs': logs,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
  };
}

/** 22 characters of base64: any 16 bytes. */
export function newClusterId(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('base64url');
}

function propertiesOf(settings: Readonly<Record<string, string | number>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

async function format(
  { java, classPath }: KafkaJars,
  properties: string,
  clusterId: string,
  scram: readonly string[],
): Promise<void> {
  const credentials = scram.flatMap((each) => ['--add-scram', each]);
  await promisify(execFile)(java, [
    '-Xmx256m',
    '-cp',
    classPath,
    'kafka.tools.StorageTool',
    'format',
    '-t',
    clusterId,
    '-c',
    properties,
    ...credentials,
  ]);
}
