import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import type { KafkaSecurity } from './brokers';

/** How a worker reaches Kafka, in the words of Kafka's own clients. Nothing of it is known to workflows. */
export interface KafkaAccess {
  securityProtocol: (typeof SECURITY_PROTOCOLS)[number];
  /** Undefined unless the protocol is one of SASL. */
  sasl:
    | { mechanism: (typeof SASL_MECHANISMS)[number]; username: string; password: string; tokenFile: string }
    | undefined;
  /** PEM files; empty: the authorities that Node trusts, and no certificate of our own. */
  caLocation: string;
  certificateLocation: string;
  keyLocation: string;
  keyPassword: string;
  /** Consumer group under which offsets are committed for others to see; empty: none. */
  groupId: string;
}

export const SECURITY_PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const;
export const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const;

/**
 * What connections need of a worker's settings. Files are read here, the token's at each login.
 *
 * @throws Error naming the file that can't be read
 */
export function kafkaSettings(access: KafkaAccess): KafkaSecurity & { group?: string } {
  const { securityProtocol, sasl, groupId } = access;
  return {
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
