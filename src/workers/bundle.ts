import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BundleOptions,
  bundleWorkflowCode,
  DefaultLogger,
  type WorkerOptions,
} from '@temporalio/worker';
import { dataConverter } from '../clients/payload-codec';

const BUILT = join(__dirname, '../workflow-bundle.js');

/** What goes into the code that Workers run workflows with. */
export const bundleOptions = {
  workflowsPath: require.resolve('../workflows'),
  workflowInterceptorModules: [require.resolve('../workflows/query-guard')],
  ...(dataConverter.payloadConverterPath === undefined
    ? {}
    : { payloadConverterPath: dataConverter.payloadConverterPath }),
} satisfies BundleOptions;

/** The workflows as `npm run build` bundled them; from source, where there is no build, the Worker bundles them itself. */
export function workflowCode(): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath' | 'interceptors'> {
  if (existsSync(BUILT)) return { workflowBundle: { codePath: BUILT } };
  const { workflowsPath, workflowInterceptorModules } = bundleOptions;
  return { workflowsPath, interceptors: { workflowModules: workflowInterceptorModules } };
}

async function build(): Promise<void> {
  const { code } = await bundleWorkflowCode({ ...bundleOptions, logger: new DefaultLogger('WARN') });
  writeFileSync(BUILT, code);
}

if (require.main === module) void build();
