import { inspect } from 'node:util';
import { Argument, type Command, CommanderError, InvalidArgumentError, program } from 'commander';
import { config } from 'dotenv';
import { printableLines } from '../printable';
import { SettingsError } from '../settings/setting';
import type { Role } from '../workers/workers';
import type { CodecServerOptions } from './codec-server';
import type { Context, ContextOptions } from './context';
import { CommandError, UsageError } from './errors';
import type { Part } from './pause';
import type { ResendOptions } from './rejected-again';

/** Loaded when one of them runs. `sluice health`, which an orchestrator runs every ten seconds, needs none of them. */
const loadCommands = () => import('./commands.js');
type Commands = Awaited<ReturnType<typeof loadCommands>>;

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
const part = () =>
  new Argument('[part]', 'of the pipeline')
    .choices(['ingest', 'lane', 'both'] satisfies Part[])
    .default('both');
const roles = () => new Argument('[role...]', 'of the Workers').choices(['ingest', 'batch'] satisfies Role[]);

const ROLES_HELP = `
Roles: ingest reads the source and fills the queue; batch empties the queue and writes the objects. Without one: both.`;

command('worker', 'run Workers, which do the work, until SIGTERM or Ctrl-C')
  .addArgument(roles())
  .addHelpText('after', ROLES_HELP)
  .action(async (roles: Role[]) => (await import('./worker.js')).worker(roles));
command('health', 'ask the worker at SLUICE_HEALTH_ADDRESS whether its Workers poll').action(async () =>
  endWith(await (await import('./health.js')).health()),
);
command('provision', 'make the queue, the bucket and the search attributes; what is there stays')
  .option(...json)
  .action(run((commands) => commands.provision));
command('start', 'start the pipeline, or wake it where it stopped')
  .option('--adopt', 'go on where the lake ends: of a pipeline whose workflows are gone for good')
  .option(
    '--since <time>',
    'with --adopt: read the source from then on, not from the cursor that the lake keeps',
  )
  .option('--yes', 'with --adopt: without asking')
  .option(...json)
  .action(run((commands) => commands.start));
command('update', 'give the running pipeline the present settings')
  .option(...json)
  .action(run((commands) => commands.update));
command('status', 'show what the pipeline is doing')
  .option(...json)
  .option('--watch', 'again every two seconds, in place')
  .action(run((commands) => commands.status));
command('pause', 'read or receive no more, until resumed')
  .addArgument(part())
  .action((of: Part) => inContext((context, { pause }) => pause(context, of)));
command('resume', 'go on, and try again what is parked')
  .addArgument(part())
  .action((of: Part) => inContext((context, { resume }) => resume(context, of)));
command('flush', 'write the partial batch now').action(run((commands) => commands.flush));
command('stop', 'end reading, drain the queue into the lake and idle, all state kept')
  .option('--wait', 'return only when all is in the lake')
  .action(run((commands) => commands.stop));
command('verify', 'audit the lake from its objects alone: holes, repeats, missing offsets')
  .option('--since <time>', 'from the hour that holds this time (ISO 8601)')
  .option('--until <time>', 'to the hour that ends at this time, or holds it')
  .option(
    '--grace <duration>',
    'for how long what is missing may still be on its way (90s, 10m), an hour at most',
    '10m',
  )
  .option(...json)
  .action(run((commands) => commands.verify, AWS_ALONE));

const rejected = command('rejected', 'what could not become a row');
subcommand(rejected, 'list', 'the rejected events, newest first')
  .option('--reason <word>', 'only those rejected for it')
  .option('--limit <count>', 'how many at most', Number, 50)
  .option(...json)
  .action(run((commands) => commands.listRejected, AWS_ALONE));
subcommand(rejected, 'show', 'one of them, whole')
  .argument('<digest>', 'its first digits are enough')
  .action((digest: string) =>
    inContext((context, { showRejected }) => showRejected(context, digest), AWS_ALONE),
  );
subcommand(rejected, 'again', 'bring them to the queue once more')
  .argument('[digest]', 'its first digits are enough')
  .option('--all', 'every one')
  .option('--reason <word>', 'with --all: only those rejected for it')
  .option('--force', 'also one that was sent again before')
  .action((digest: string | undefined, options: ResendOptions) =>
    inContext((context, { resendRejected }) => resendRejected(context, digest, options), AWS_ALONE),
  );

command('remove', 'end a stopped pipeline for good; the lake stays')
  .option('--yes', 'without asking')
  .option('--abandon', 'also where its lane can not stop, or never read its queue; what it held is given up')
  .action(run((commands) => commands.remove));

command('codec-server', "lets Temporal's web UI and CLI read compressed payloads, until Ctrl-C")
  .option('--port <port>', 'at which it listens', port, DEFAULT_CODEC_PORT)
  .option('--address <address>', 'at which it listens; it asks for no password', '127.0.0.1')
  .option('--cors-origin <origins...>', 'whose pages may ask it: where the web UI is', WEB_UI_ORIGINS)
  .action(async (options: CodecServerOptions) => (await loadCommands()).codecServer(options));

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
  choose: (commands: Commands) => (context: Context, options: Options) => Promise<void | boolean>,
  needs: ContextOptions = {},
) {
  return (options: Options) => inContext((context, commands) => choose(commands)(context, options), needs);
}

async function inContext(
  work: (context: Context, commands: Commands) => Promise<void | boolean>,
  needs: ContextOptions = {},
): Promise<void> {
  const commands = await loadCommands();
  endWith(await commands.withContext((context) => work(context, commands), needs));
}

/** @param outcome false: something is not right */
function endWith(outcome: void | boolean): void {
  if (outcome === false) process.exitCode = EXIT.notDone;
}

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError) {
    // Commander has said it.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.wrongUse;
    return;
  }
  const isForPeople = error instanceof CommandError || error instanceof SettingsError;
  // What a server or an object said may stand in it.
  console.error(printableLines(isForPeople ? error.message : inspect(error)));
  const isWrongUse = error instanceof SettingsError || error instanceof UsageError;
  process.exitCode = isWrongUse ? EXIT.wrongUse : EXIT.notDone;
});
