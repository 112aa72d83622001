import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, type WorkerOptions } from '@temporalio/worker';
import { dataConverter } from '../clients/payload-codec';

const BUILT = join(__dirname, '../workflow-bundle.js');

/** The workflows as `npm run build` bundled them; from source, where there is no build, the Worker bundles them itself. */
export function workflowCode(): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> {
  return existsSync(BUILT)
    ? { workflowBundle: { codePath: BUILT } }
    : { workflowsPath: require.resolve('../workflows') };
}

async function build(): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: require.resolve('../workflows'),
    payloadConverterPath: dataConverter.payloadConverterPath,
    logger: new DefaultLogger('WARN'),
  });
  writeFileSync(BUILT, code);
}

if (require.main === module) void build();
