import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../package-root';

/** `name/version (contact)`, as Wikimedia asks of every client. */
export function userAgent(contact: string): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  return `sluice/${version} (${contact})`;
}
