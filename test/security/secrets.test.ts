import assert from 'node:assert/strict';
import { loadPipeline } from '../../src/settings/pipeline';
import { loadWorkerSettings } from '../../src/settings/worker';
import { SettingsError } from '../../src/settings/setting';
import { settingsOf } from '../../src/settings/changes';

const SECRET = 'hunter2';

/** Where the SDKs find their secrets. */
const SECRETS = Object.fromEntries(
  [
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_CONTAINER_AUTHORIZATION_TOKEN',
    'TEMPORAL_API_KEY',
    'TEMPORAL_TLS_CLIENT_KEY_DATA',
    'TEMPORAL_CODEC_AUTH',
  ].map((name) => [name, `${SECRET}-${name}`]),
);

function problemWith(url: string): string {
  try {
    loadPipeline({ SLUICE_SOURCE_URL: url });
  } catch (error) {
    assert(error instanceof SettingsError);
    return error.message;
  }
  return '';
}

describe("A pipeline's definition, which every workflow history holds", () => {
  it('has nothing of the credentials in the environment', () => {
    const definition = loadPipeline(SECRETS);
    const settings = [definition, settingsOf(definition), loadWorkerSettings(SECRETS)];
    assert(!JSON.stringify(settings).includes(SECRET));
    assert.deepEqual(definition, loadPipeline({}));
  });

  it('has no password: a URL with one is refused, and shown without it', () => {
    for (const url of [`https://me:${SECRET}@example.org/`, `https://${SECRET}@example.org/a?b#c`]) {
      assert.match(problemWith(url), /must not hold a user name or password/);
      assert(!problemWith(url).includes(SECRET));
    }
  });

  // SECURITY.md says so: a token that is part of the address can't be told from the rest of it.
  it('has the query of the URL as it is', () => {
    const url = `https://example.org/stream?token=${SECRET}`;
    assert.equal(loadPipeline({ SLUICE_SOURCE_URL: url }).source.url, url);
  });
});
