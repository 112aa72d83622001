import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SETTINGS } from '../src/config';

const README = join(__dirname, '../README.md');
const BETWEEN = /(<!-- settings -->\n)[\s\S]*(\n<!-- \/settings -->)/;

/** The README with its table of settings as src/config.ts declares them. `npm run settings` writes it. */
export function readmeWithSettings(): { wanted: string; found: string } {
  const found = readFileSync(README, 'utf8');
  const rows = Object.values(SETTINGS).map(({ name, fallback, meaning }) => {
    const shown =
      name === SETTINGS.columns.name ? 'see `src/lake/columns.ts`' : fallback && `\`${fallback}\``;
    return `| \`${name}\` | ${shown} | ${meaning} |`;
  });
  const table = ['| setting | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
  return {
    wanted: found.replace(BETWEEN, (_, before: string, after: string) => `${before}\n${table}\n${after}`),
    found,
  };
}

if (require.main === module) writeFileSync(README, readmeWithSettings().wanted);
