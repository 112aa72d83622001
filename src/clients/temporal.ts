import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type ClientConfigProfile,
  type ClientConnectConfig,
  type ConfigDataSource,
  loadClientConfigProfile,
  toClientOptions,
} from '@temporalio/envconfig';
import { SettingsError } from '../settings/setting';

type Environment = Readonly<Record<string, string | undefined>>;

/** What TLS takes, by its name in a profile, and how a setting's name ends for it. */
const PARTS = {
  serverCACert: 'server_ca_cert',
  clientCert: 'client_cert',
  clientKey: 'client_key',
} as const;

/**
 * How Temporal is reached: by Temporal's own variables (`TEMPORAL_ADDRESS`, `TEMPORAL_TLS_CLIENT_CERT_PATH` and so on) and
 * `temporal.toml`, which its own command line reads too.
 *
 * @param environment usually `process.env`
 * @throws {@link SettingsError} naming each setting that can't be used, and why
 */
export function temporalConnectConfig(environment: Environment): ClientConnectConfig {
  const profile = loadProfile(environment);
  const { tls = { disabled: true } } = profile;
  const problems = Object.entries(PARTS).flatMap(([part, name]) => {
    const source = tls[part as keyof typeof PARTS];
    // Where TLS is off, its files are not read.
    return source && !tls.disabled ? problemsWith(source, name, environment) : [];
  });
  if (problems.length > 0) throw new SettingsError(problems.join('\n'));
  return toClientOptions(profile);
}

function loadProfile(environment: Environment): ClientConfigProfile {
  const set = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  try {
    return loadClientConfigProfile({ overrideEnvVars: Object.fromEntries(set) });
  } catch (error) {
    throw new SettingsError(
      `The settings of Temporal (TEMPORAL_… and temporal.toml) can't be used: ${messageOf(error)}`,
    );
  }
}

/** Found here: without it, a file that can't be read has no setting's name, and one without a certificate is no error at all. */
function problemsWith(source: ConfigDataSource, name: string, environment: Environment): string[] {
  const isKey = name === PARTS.clientKey;
  const parse = isKey ? createPrivateKey : (text: Buffer) => new X509Certificate(text);
  const isFile = 'path' in source;
  const setting = settingOf(`${name}_${isFile ? 'path' : 'data'}`, environment);
  const shown = isFile ? `; it is ${JSON.stringify(source.path)}` : '';
  let pem: Buffer;
  try {
    pem = isFile ? readFileSync(source.path) : Buffer.from(source.data);
  } catch (error) {
    return [`${setting} must name a file that can be read (${messageOf(error)})${shown}`];
  }
  try {
    parse(pem);
    return [];
  } catch (error) {
    return [
      `${setting} must ${isFile ? 'name a file with' : 'be'} a ${isKey ? 'private key' : 'certificate'} in PEM (${messageOf(error)})${shown}`,
    ];
  }
}

/** Where a person finds it. */
function settingOf(member: string, environment: Environment): string {
  const variable = `TEMPORAL_TLS_${member.toUpperCase()}`;
  return environment[variable] === undefined ? `${member} in temporal.toml` : variable;
}

/**
 * Without the path, which is shown as it was given, and without the lines around a mistake in `temporal.toml`: an API key may
 * stand there.
 */
function messageOf(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
  return line.replace(/, (?:open|read)(?: '[^']*')?$/, '');
}
