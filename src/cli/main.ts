import { program } from 'commander';
import { config } from 'dotenv';
import { SettingsError } from '../config';
import { CommandError, type Context, withContext } from './context';
import { provision } from './provision';
import { start } from './start';
import { status } from './status';
import { stop } from './stop';

config({ quiet: true });

program
  .name('sluice')
  .description(
    'Moves an event stream through SQS into CSV objects in S3: nothing lost, nothing written twice.',
  )
  .addHelpText(
    'after',
    '\nSettings are environment variables or lines of .env; the README lists them.\nExit codes: 0 done, 1 it was not.',
  );

program.command('provision').description('make the queue and the bucket').action(run(provision));
program.command('start').description('start the pipeline, or wake it where it stopped').action(run(start));
program
  .command('stop')
  .description('end reading, drain the queue into the lake and idle, all state kept')
  .option('--wait', 'return only when all is in the lake')
  .action(run(stop));
program
  .command('status')
  .description('show what the pipeline is doing')
  .option('--json', 'as JSON')
  .action(run(status));

function run<Options>(command: (context: Context, options: Options) => Promise<void>) {
  return (options: Options) => withContext((context) => command(context, options));
}

program.parseAsync().catch((error: unknown) => {
  const isForPeople = error instanceof CommandError || error instanceof SettingsError;
  console.error(isForPeople ? error.message : error);
  process.exitCode = 1;
});
