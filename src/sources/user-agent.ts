import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `name/version (contact)`, as Wikimedia asks of every client. */
export function userAgent(contact: string): string {
  // Two levels below the package's root, as source and as build.
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as {
    version: string;
  };
  return `sluice/${version} (${contact})`;
}
