import { Argument, type Command, CommanderError, InvalidArgumentError, program } from 'commander';
import { config } from 'dotenv';
import { SettingsError } from '../settings/setting';
import { codecServer, type CodecServerOptions } from './codec-server';
import { type Context, type ContextOptions, withContext } from './context';
import { CommandError, UsageError } from './errors';
import { flush, PARTS, type Part, pause, resume } from './pause';
import { provision } from './provision';
import { listRejected, showRejected } from './rejected';
import { resendRejected, type ResendOptions } from './rejected-again';
import { remove } from './remove';
import { start } from './start';
import { status } from './status';
import { stop } from './stop';
import { update } from './update';
import { verify } from './verify';

/** What a process ends with; the help lists them. */
const EXIT = { notDone: 1, wrongUse: 2 } as const;

const EXIT_HELP = `
Exit codes: 0 done; 1 not done, or something was found; 2 a wrong option or setting.`;

config({ quiet: true });

program
  .name('sluice')
  .description(
    'Moves an event stream through SQS into CSV objects in S3: nothing lost, nothing written twice.',
  )
  .addHelpText(
    'after',
    `\nSettings are environment variables or lines of .env; the README lists them.${EXIT_HELP}`,
  )
  .exitOverride();

const DEFAULT_CODEC_PORT = 8234;

/** Of the dev server's web UI. */
const WEB_UI_ORIGINS = ['http://localhost:8233', 'http://127.0.0.1:8233'];

const AWS_ALONE: ContextOptions = { needsTemporal: false };

const json = ['--json', 'as JSON'] as const;
const part = () => new Argument('[part]', 'of the pipeline').choices(PARTS).default('both');

command('provision', 'make the queue, the bucket and the search attributes; what is there stays')
  .option(...json)
  .action(run(provision));
command('start', 'start the pipeline, or wake it where it stopped')
  .option(...json)
  .action(run(start));
command('update', 'give the running pipeline the present settings')
  .option(...json)
  .action(run(update));
command('status', 'show what the pipeline is doing')
  .option(...json)
  .option('--watch', 'again every two seconds, in place')
  .action(run(status));
command('pause', 'read or receive no more, until resumed')
  .addArgument(part())
  .action((of: Part) => inContext((context) => pause(context, of)));
command('resume', 'go on, and try again what is parked')
  .addArgument(part())
  .action((of: Part) => inContext((context) => resume(context, of)));
command('flush', 'write the partial batch now').action(run(flush));
command('stop', 'end reading, drain the queue into the lake and idle, all state kept')
  .option('--wait', 'return only when all is in the lake')
  .action(run(stop));
command('verify', 'audit the lake from its objects alone: holes, repeats, missing offsets')
  .option('--since <time>', 'from the hour that holds this time (ISO 8601)')
  .option('--until <time>', 'to the hour that ends at this time, or holds it')
  .option(
    '--grace <duration>',
    'for how long what is missing may still be on its way (90s, 10m), an hour at most',
    '10m',
  )
  .option(...json)
  .action(run(verify, AWS_ALONE));

const rejected = command('rejected', 'what could not become a row');
subcommand(rejected, 'list', 'the rejected events, newest first')
  .option('--reason <word>', 'only those rejected for it')
  .option('--limit <count>', 'how many at most', Number, 50)
  .option(...json)
  .action(run(listRejected, AWS_ALONE));
subcommand(rejected, 'show', 'one of them, whole')
  .argument('<digest>', 'its first digits are enough')
  .action((digest: string) => inContext((context) => showRejected(context, digest), AWS_ALONE));
subcommand(rejected, 'again', 'bring them to the queue once more')
  .argument('[digest]', 'its first digits are enough')
  .option('--all', 'every one')
  .option('--reason <word>', 'with --all: only those rejected for it')
  .option('--force', 'also one that was sent again before')
  .action((digest: string | undefined, options: ResendOptions) =>
    inContext((context) => resendRejected(context, digest, options), AWS_ALONE),
  );

command('remove', 'end a stopped pipeline for good; the lake stays')
  .option('--yes', 'without asking')
  .action(run(remove));

command('codec-server', "lets Temporal's web UI and CLI read compressed payloads, until Ctrl-C")
  .option('--port <port>', 'at which it listens', port, DEFAULT_CODEC_PORT)
  .option('--address <address>', 'at which it listens; it asks for no password', '127.0.0.1')
  .option('--cors-origin <origins...>', 'whose pages may ask it: where the web UI is', WEB_UI_ORIGINS)
  .action((options: CodecServerOptions) => codecServer(options));

function port(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number > 65_535) {
    throw new InvalidArgumentError('It must be a whole number from 0 (a free one) to 65535.');
  }
  return number;
}

function command(name: string, description: string): Command {
  return subcommand(program, name, description);
}

function subcommand(parent: Command, name: string, description: string): Command {
  return parent.command(name).description(description).addHelpText('after', EXIT_HELP).exitOverride();
}

function run<Options>(
  work: (context: Context, options: Options) => Promise<void | boolean>,
  needs: ContextOptions = {},
) {
  return (options: Options) => inContext((context) => work(context, options), needs);
}

/** @param work may say that something is not right, by false */
async function inContext(
  work: (context: Context) => Promise<void | boolean>,
  needs: ContextOptions = {},
): Promise<void> {
  if ((await withContext(work, needs)) === false) process.exitCode = EXIT.notDone;
}

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // Commander has said it.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.wrongUse;
    return;
  }
  const isForPeople = error instanceof CommandError || error instanceof SettingsError;
  console.error(isForPeople ? error.message : error);
  const isWrongUse = error instanceof SettingsError || error instanceof UsageError;
  process.exitCode = isWrongUse ? EXIT.wrongUse : EXIT.notDone;
});
