import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import type { Address, KafkaSecurity } from './brokers';

/** How a worker reaches Kafka, in the words of Kafka's own clients. Nothing of it is known to workflows. */
export interface KafkaAccess {
  securityProtocol: (typeof SECURITY_PROTOCOLS)[number];
  /** Undefined unless the protocol is one of SASL. */
  sasl:
    | { mechanism: (typeof SASL_MECHANISMS)[number]; username: string; password: string; tokenFile: string }
    | undefined;
  /** Whom the login and the certificate of our own are for. */
  brokers: readonly Address[];
  /** PEM files; empty: the authorities that Node trusts, and no certificate of our own. */
  caLocation: string;
  certificateLocation: string;
  keyLocation: string;
  keyPassword: string;
  /** Consumer group under which offsets are committed for others to see; empty: none. */
  groupId: string;
}

/** What connections need of a worker's settings. */
export interface KafkaLogins extends KafkaSecurity {
  /** Consumer group under which offsets are committed, for Kafka's own tools to show the lag. */
  group?: string;
  /** Whom `sasl`, and the certificate in `tls`, are for. */
  brokers: readonly Address[];
}

export const SECURITY_PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const;
export const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const;

/**
 * What connections need of a worker's settings. Files are read here, the token's at each login.
 *
 * @throws Error naming the file that can't be read
 */
export function kafkaSettings(access: KafkaAccess): KafkaLogins {
  const { securityProtocol, sasl, groupId, brokers } = access;
  return {
    brokers,
    ...(groupId === '' ? {} : { group: groupId }),
    ...(securityProtocol.endsWith('SSL') ? { tls: tlsOf(access) } : {}),
    ...(sasl ? { sasl: saslOf(sasl) } : {}),
  };
}

function tlsOf({ caLocation, certificateLocation, keyLocation, keyPassword }: KafkaAccess) {
  return {
    ...(caLocation === '' ? {} : { ca: readFileSync(caLocation) }),
    ...(certificateLocation === '' ? {} : { cert: readFileSync(certificateLocation) }),
    ...(keyLocation === '' ? {} : { key: readFileSync(keyLocation) }),
    ...(keyPassword === '' ? {} : { passphrase: keyPassword }),
  };
}

function saslOf({ mechanism, username, password, tokenFile }: NonNullable<KafkaAccess['sasl']>) {
  if (mechanism !== 'OAUTHBEARER') return { mechanism, username, password };
  return { mechanism, token: async () => (await readFile(tokenFile, 'utf8')).trim() };
}

/**
 * Who may start a pipeline names its brokers: to one of their own a worker would show its password.
 *
 * @returns why these brokers get no login of this worker; undefined where they may have it, or it has none
 */
export function whyNoLogin(
  { sasl, tls, brokers }: KafkaLogins,
  bootstrap: readonly Address[],
): string | undefined {
  if (!sasl && !(tls && 'cert' in tls)) return undefined;
  const known = brokers.map(nameOf);
  const others = bootstrap.map(nameOf).filter((broker) => !known.includes(broker));
  if (others.length === 0) return undefined;
  return (
    `The Kafka login of this worker is for ${known.join(', ')}, and not for ${others.join(', ')}: correct SLUICE_SOURCE_URL, ` +
    'or add these brokers to SLUICE_KAFKA_BROKERS of the workers'
  );
}

function nameOf({ host, port }: Address): string {
  return `${host.toLowerCase()}:${port}`;
}
