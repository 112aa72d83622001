import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { KafkaAccess } from '../../config';
import type { KafkaSecurity } from './brokers';

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
