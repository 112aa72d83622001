import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { packageRoot } from '../../src/package-root';
import { ComposeProject, engineMissing } from './compose';

const BASE = 'docker-compose.yml';

interface Service {
  image?: string;
  environment?: Record<string, string | null>;
  ports?: { host_ip?: string }[];
}

/** What a shell or `.env` may hold that points elsewhere, or must not get into a container. */
const POISON = {
  TEMPORAL_ADDRESS: 'poison',
  TEMPORAL_API_KEY: 'poison',
  AWS_ENDPOINT_URL: 'poison',
  AWS_ENDPOINT_URL_SQS: 'poison',
  AWS_PROFILE: 'poison',
  SLUICE_SOURCE_URL: 'poison',
  SLUICE_METRICS_ADDRESS: 'poison',
};

describe('The compose files (skipped where no Docker engine is reachable)', function () {
  this.timeout('1m');

  before(async function () {
    const reason = await engineMissing();
    if (reason === undefined) return;
    console.log(`  skipped: ${reason}`);
    this.skip();
  });

  const variants = readdirSync(packageRoot).filter((name) => /^docker-compose\.\w+\.yml$/.test(name));
  for (const variant of [undefined, ...variants.toSorted()]) {
    it(`are right with ${variant ?? 'no variant'}: loopback only, images pinned, nothing of this machine inside`, async () => {
      const files = variant === undefined ? [BASE] : [BASE, variant];
      const project = new ComposeProject('sluice-test', files, { ...POISON, POSTGRES_PASSWORD: 'secret' });
      const text = await project.compose('config', '--format', 'json');
      const { services } = JSON.parse(text) as { services: Record<string, Service> };
      assert.ok(services['worker']);
      for (const [name, { image = '', environment = {}, ports = [] }] of Object.entries(services)) {
        assert.match(image, /:v?\d+\.\d+[\w.-]*$|^sluice:local$/, name);
        assert.ok(!Object.values(environment).includes('poison'), name);
        for (const { host_ip } of ports) assert.equal(host_ip, '127.0.0.1', name);
      }
      assert.ok(!text.includes('poison'));
    });
  }

  it('ask for a password where there is a database', async () => {
    const project = new ComposeProject('sluice-test', [BASE, 'docker-compose.production.yml'], {});
    await assert.rejects(project.compose('config', '--quiet'), /POSTGRES_PASSWORD/);
  });
});
