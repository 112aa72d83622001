import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST } from '../../local/ports';

/** Files of a certificate and its key. */
export interface Certificate {
  certificate: string;
  key: string;
}

/**
 * Makes a certificate for this machine's loopback address, valid for a day.
 *
 * @param issuer who signs it; without one it is an authority, which signs itself
 * @throws where there is no `openssl`, or one before 3
 */
export function makeCertificate(folder: string, name: string, issuer?: Certificate): Certificate {
  const made = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) };
  const config = join(folder, 'openssl.cnf');
  // It defines no more than has to be; the machine's own may add extensions.
  writeFileSync(config, '[req]\ndistinguished_name=none\n[none]\n');
  const extensions = issuer
    ? [`subjectAltName=IP:${HOST}`, 'basicConstraints=critical,CA:FALSE']
    : ['basicConstraints=critical,CA:TRUE'];
  const kind = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1'.split(' ');
  const signed = issuer ? ['-CA', issuer.certificate, '-CAkey', issuer.key] : [];
  const subject = ['-config', config, '-subj', `/CN=${name}`];
  const extended = extensions.flatMap((extension) => ['-addext', extension]);
  const files = ['-keyout', made.key, '-out', made.certificate];
  execFileSync('openssl', [...kind, ...signed, ...subject, ...extended, ...files], { stdio: 'ignore' });
  return made;
}
