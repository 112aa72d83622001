import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SettingsError } from '../../src/settings/setting';
import { temporalConnectConfig } from '../../src/clients/temporal';

const SECRET = 'hunter2';

describe('How Temporal is reached', () => {
  let folder: string;
  let noPem: string;
  let missing: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-temporal-options-'));
    noPem = join(folder, 'no.pem');
    missing = join(folder, 'missing.pem');
    await writeFile(noPem, SECRET);
  });

  after(() => rm(folder, { recursive: true }));

  /** Of these variables and no others, not even a `temporal.toml` of this machine. */
  const options = (environment: Record<string, string>) =>
    temporalConnectConfig({ HOME: folder, ...environment });

  function problemWith(environment: Record<string, string>): string {
    try {
      options(environment);
    } catch (error) {
      assert(error instanceof SettingsError, String(error));
      assert(!error.message.includes(SECRET));
      return error.message;
    }
    return '';
  }

  it("is what Temporal's own variables say", () => {
    const { connectionOptions, namespace } = options({
      TEMPORAL_ADDRESS: 'temporal:7233',
      TEMPORAL_NAMESPACE: 'events',
      TEMPORAL_API_KEY: SECRET,
    });
    const { address, apiKey, tls } = connectionOptions;
    assert.deepEqual([address, apiKey, tls, namespace], ['temporal:7233', SECRET, true, 'events']);
  });

  for (const part of ['SERVER_CA_CERT', 'CLIENT_CERT', 'CLIENT_KEY']) {
    const setting = `TEMPORAL_TLS_${part}_PATH`;

    it(`says why the file of ${setting} can not be read`, () => {
      assert.equal(
        problemWith({ [setting]: missing }),
        `${setting} must name a file that can be read (ENOENT: no such file or directory); it is ${JSON.stringify(missing)}`,
      );
      assert.match(problemWith({ [setting]: folder }), /can be read \(EISDIR: .+\); it is "/);
    });

    it(`says that the file of ${setting} holds something else`, () => {
      const kind = part === 'CLIENT_KEY' ? 'private key' : 'certificate';
      assert.match(
        problemWith({ [setting]: noPem }),
        new RegExp(`^${setting} must name a file with a ${kind} in PEM \\(.+\\); it is ".+no\\.pem"$`),
      );
    });

    it(`says that the text of TEMPORAL_TLS_${part}_DATA is something else, and does not show it`, () => {
      assert.match(
        problemWith({ [`TEMPORAL_TLS_${part}_DATA`]: SECRET }),
        new RegExp(`^TEMPORAL_TLS_${part}_DATA must be a (private key|certificate) in PEM \\(.+\\)$`),
      );
    });
  }

  it('says everything that is wrong at once', () => {
    const problem = problemWith({
      TEMPORAL_TLS_CLIENT_CERT_PATH: missing,
      TEMPORAL_TLS_CLIENT_KEY_PATH: missing,
    });
    assert.deepEqual(
      problem.split('\n').map((line) => line.split(' ', 1)[0]),
      ['TEMPORAL_TLS_CLIENT_CERT_PATH', 'TEMPORAL_TLS_CLIENT_KEY_PATH'],
    );
  });

  it('reads no file where TLS is off', () => {
    const off = { TEMPORAL_TLS: 'false', TEMPORAL_TLS_CLIENT_CERT_PATH: missing };
    assert.equal(options(off).connectionOptions.tls, false);
  });

  describe('by a temporal.toml', () => {
    async function toml(text: string): Promise<Record<string, string>> {
      const path = join(folder, 'temporal.toml');
      await writeFile(path, text);
      return { TEMPORAL_CONFIG_FILE: path };
    }

    it('is what it says', async () => {
      const named = await toml('[profile.default]\naddress = "temporal:7233"\n');
      assert.equal(options(named).connectionOptions.address, 'temporal:7233');
    });

    it('names the file that can not be read by its member there', async () => {
      const named = await toml(`[profile.default.tls]\nclient_cert_path = ${JSON.stringify(missing)}\n`);
      assert.match(
        problemWith(named),
        /^client_cert_path in temporal\.toml must name a file that can be read/,
      );
    });

    it('says what is wrong with it', async () => {
      assert.match(
        problemWith(await toml('x = [')),
        /^The settings of Temporal .+ can't be used: Invalid TOML document: .+$/,
      );
      assert.match(problemWith({ TEMPORAL_CONFIG_FILE: folder }), /can't be used: EISDIR/);
      assert.match(problemWith({ TEMPORAL_PROFILE: 'other' }), /can't be used: Profile 'other' not found/);
    });
  });
});
