import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { HOST } from '../../local/ports';

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome'];
const PATIENCE_MS = 120_000;
const MACOS_CHROME = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';

/** @returns the browser that SLUICE_CHROMIUM names, else this machine's Chromium or Chrome; undefined: it has none */
export function findChromium(): string | undefined {
  const { SLUICE_CHROMIUM, PATH = '' } = process.env;
  if (SLUICE_CHROMIUM) return SLUICE_CHROMIUM;
  const onPath = COMMANDS.flatMap((name) => PATH.split(delimiter).map((folder) => join(folder, name)));
  return [...onPath, MACOS_CHROME].find(isExecutable);
}

/** Headless, with a profile of its own that goes when it is closed. It ends with this process, however that ends. */
export async function launchChromium(executablePath: string): Promise<Browser> {
  return await chromium.launch({
    executablePath,
    args: ['--disable-gpu', '--disable-quic'],
    // Playwright would end this process too, before what else was started is ended.
    handleSIGHUP: false,
    handleSIGINT: false,
    handleSIGTERM: false,
  });
}

/**
 * Opens the list of workflows in Temporal's web UI.
 *
 * @param search which of them, in Temporal's list filter syntax. Default: all
 */
export async function openWorkflowList(browser: Browser, webUrl: string, search?: string): Promise<Page> {
  const page = await browser.newPage({
    viewport: { width: 1400, height: 1160 },
    locale: 'en-US',
    timezoneId: 'UTC',
  });
  page.setDefaultTimeout(PATIENCE_MS);
  // The web UI asks temporal.io for news.
  await page.route(
    ({ hostname }) => hostname !== HOST,
    (route) => route.abort(),
  );
  const list = new URL('/namespaces/default/workflows', webUrl);
  if (search !== undefined) list.searchParams.set('query', search);
  await page.goto(list.href);
  return page;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
