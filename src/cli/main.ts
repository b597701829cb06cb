/** The command line of `delve-tensorboard`: its commands, its options, its usage text. */
import { didYouMean, printable } from '../errors.js';
import { completions, type KnownCommand } from './completions.js';
import { tableFormats } from './table.js';
import { type Terminal, UsageError } from './terminal.js';

/** Options as `parseArgs` of node:util takes them. */
export const cliOptions = {
  args: { type: 'string' },
  'fan-in': { type: 'string' },
  index: { type: 'string' },
  level: { type: 'string' },
  map: { type: 'string' },
  numerics: { type: 'string' },
  plan: { type: 'string' },
  queue: { type: 'string' },
  store: { type: 'string' },
  task: { type: 'string' },
  batch: { type: 'string' },
  cache: { type: 'boolean' },
  threads: { type: 'string' },
  size: { type: 'string' },
  mean: { type: 'string' },
  std: { type: 'string' },
  blocks: { type: 'boolean' },
  format: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  host: { type: 'string' },
  json: { type: 'boolean' },
  kind: { type: 'string' },
  lax: { type: 'boolean' },
  once: { type: 'boolean' },
  out: { type: 'string', short: 'o' },
  plain: { type: 'boolean' },
  port: { type: 'string' },
  raw: { type: 'boolean' },
  rename: { type: 'string' },
  run: { type: 'string' },
  runs: { type: 'string' },
  sort: { type: 'string' },
  step: { type: 'string' },
  steps: { type: 'string' },
  tag: { type: 'string' },
  tags: { type: 'string' },
  version: { type: 'boolean', short: 'v' },
  'wall-time': { type: 'string' },
  wide: { type: 'boolean' },
} as const;

/** A command line, taken apart. */
export interface CommandLine {
  values: {
    -readonly [Name in keyof typeof cliOptions]?: (typeof cliOptions)[Name]['type'] extends 'boolean'
      ? boolean
      : string;
  };
  positionals: string[];
}

/** A command: what `--help` says of it, the options that it takes, and what it does. Its module is loaded when it runs. */
interface Command {
  readonly usage: string;
  readonly examples: readonly string[];
  readonly options: readonly (keyof typeof cliOptions)[];
  run(terminal: Terminal, paths: string[], values: CommandLine['values'], version: string): Promise<number>;
}

const commands: Readonly<Record<string, Command>> = {
  inspect: {
    usage: `
  inspect <logdir or file>...       what is in it: runs, tags, plugins, counts, steps, last values
      --tags <regular expression>     only tags that match
      --raw                           count points that TensorBoard hides behind later ones, too
      --sort <column>                 the tags of each run by tag (as without it), plugin, or count, the most first
      --cache                         remember what was found, in the user's cache folder: files that have not changed are not
                                      read again
      --threads <number>              read so many runs at a time; by default as many as there are idle processors for
      --json                          as JSON`,
    examples: [
      'inspect runs',
      "inspect runs/train --tags '^loss' --json",
      'inspect runs --sort count',
      'inspect runs --cache',
    ],
    options: ['tags', 'raw', 'sort', 'cache', 'threads', 'json'],
    run: async (terminal, paths, values) => (await import('./inspect.js')).inspect(terminal, paths, values),
  },
  lint: {
    usage: `
  lint <logdir>                     what is wrong with a training: NaN, spikes, plateaus, steps that go back, runs that hide
                                    each other, tags that TensorBoard does not show, layers that are dead or collapse; exit
                                    code 1 if something is
      --tags <regular expression>     only tags that match
      --cache, --threads <number>     as of inspect
      --json                          as JSON`,
    examples: ['lint runs && echo all is well', 'lint runs --json'],
    options: ['tags', 'cache', 'threads', 'json'],
    run: async (terminal, paths, values) => (await import('./lint.js')).lint(terminal, onlyOne(paths), values),
  },
  diff: {
    usage: `
  diff <logdir> <logdir>            in which scalars two logdirs differ; exit code 1 if in any
      --tags <regular expression>     only tags that match
      --raw                           points that TensorBoard hides behind later ones, too
      --json                          as JSON`,
    examples: ['diff runs/before runs/after', 'diff runs/a runs/b --tags loss --json'],
    options: ['tags', 'raw', 'json'],
    run: async (terminal, paths, values) => (await import('./diff.js')).diff(terminal, paths, values),
  },
  verify: {
    usage: `
  verify <logdir or file>...        read every record; exit code 1 if one is damaged
      --json                          as JSON`,
    examples: ['verify runs', 'verify runs/*/events.out.tfevents.*'],
    options: ['json'],
    run: async (terminal, paths, values) => (await import('./verify.js')).verify(terminal, paths, values),
  },
  filter: {
    usage: `
  filter <logdir> --out <folder>    a copy with one file for each run, of what is wanted
      --tags <regular expression>     only tags that match
      --runs <regular expression>     only runs that match
      --steps <range>                 only these steps: 10..20, 10.., ..20 or 10, of the points that TensorBoard shows
      --raw                           with --steps: points that it hides behind later ones, too
      --rename <pattern=name>         other names for tags: a regular expression, and what stands in its place`,
    examples: [
      'filter runs --out small --tags loss --steps 1000..',
      "filter runs --out renamed --rename '^train/(.*)=$1'",
    ],
    options: ['out', 'tags', 'runs', 'steps', 'raw', 'rename'],
    run: async (terminal, paths, values) => (await import('./filter.js')).filter(terminal, onlyOne(paths), values),
  },
  merge: {
    usage: `
  merge <logdir> <logdir>... --out <folder>
                                    a copy of several logdirs as one, with one file for each run: runs of the same name become one,
                                    in the order of the logdirs`,
    examples: ['merge runs-monday runs-tuesday --out runs'],
    options: ['out'],
    run: async (terminal, paths, values) => (await import('./filter.js')).merge(terminal, paths, values),
  },
  repair: {
    usage: `
  repair <logdir or file> --out <folder>
                                    whole copies of event files without the bytes that are damaged; the files themselves stay
                                    as they are
      --json                          as JSON`,
    examples: ['repair runs --out repaired'],
    options: ['out', 'json'],
    run: async (terminal, paths, values) => (await import('./repair.js')).repair(terminal, onlyOne(paths), values),
  },
  export: {
    usage: `
  export <logdir or file>...        what is in them for other programs: scalars as CSV to standard output
      --kind <kind>                   tables: scalars, histograms, text, pr_curves, hparams (a row for each run, with the
                                      last values of its metrics); files: images, audio, tensors (.npy), meshes (.ply),
                                      embeddings (vectors as .npy, labels, pictures)
      --wide                          scalars with a row for each step and a column for each tag
      --format <format>               ${tableFormats.join(', ')}; else what the ending of --out says
      --out, -o <path>                the file to write; the folder for kinds that are files
      --tags <regular expression>     only tags that match
      --raw                           points that TensorBoard hides behind later ones, too
      --plain                         texts as they are: without it, CSV has an apostrophe before those that a
                                      spreadsheet would run as formulas
      --threads <number>              read so many runs at a time; 1 by default. Not for Parquet, --wide and hparams
      --json                          the same as --format json; of kinds that are files, a list of what was written`,
    examples: [
      'export runs > scalars.csv',
      'export runs/a runs/b --wide --out scalars.parquet',
      'export runs --kind hparams',
      'export runs --kind images --out pictures',
      'export runs --kind text --format json',
    ],
    options: ['kind', 'wide', 'format', 'out', 'tags', 'raw', 'plain', 'threads', 'json'],
    run: async (terminal, paths, values) => (await import('./export.js')).exportLogdir(terminal, paths, values),
  },
  'from-csv': {
    usage: `
  from-csv <file>... --out <logdir>
                                    event files from tables of scalars: what export writes, CSVLogger of Keras, metrics.csv
                                    of Lightning, TensorBoard's own downloads; a row for each point (run, tag, step,
                                    wall_time, value), or for each step with a column for each tag
      --step <column>                 by default step, global_step, epoch or iteration; rows are counted if there is none
      --wall-time <column>            seconds since 1970; by default wall_time or Wall time, or it is now
      --tag <name>                    the tag of a table with one column of values; by default its name, and of a column Value
                                      that of the file
      --run <name>                    the run, where no column run names it; by default the logdir itself
      --plain                         names as they are, of a table that export --plain or another program wrote: without it,
                                      CSV loses the apostrophe before those that a spreadsheet would run as formulas
      --format <format>               csv, json or jsonl (a record on each line); else what the file's ending says
      --out, -o <logdir>              where the runs go`,
    examples: [
      'from-csv training.csv --out runs --run keras',
      'from-csv metrics.csv --out runs --step epoch',
      'from-csv run-a-tag-loss.csv --out runs --run a --tag loss',
      'export runs --wide | delve-tensorboard from-csv - --out copy',
    ],
    options: ['out', 'step', 'wall-time', 'tag', 'run', 'plain', 'format'],
    run: async (terminal, paths, values) => (await import('./from-csv.js')).fromCsv(terminal, paths, values),
  },
  reduce: {
    usage: `
  reduce <run or logdir>...         mean, std, min, max and median of the scalars of several runs, such as one training with
                                    several seeds; of one folder: of the runs in it
      --out, -o <folder>              writes a run for each, and margin charts (run band); or a file ending in .csv, .json ...
      --format <format>               events, or the table as csv, json, jsonl or parquet; without --out it goes to
                                      standard output, as csv
      --lax                           with steps that only some of the runs have
      --tags <regular expression>     only tags that match
      --raw                           with points that TensorBoard hides behind later ones
      --threads <number>              as of inspect
      --json                          as JSON`,
    examples: ['reduce runs/seed* --out runs/all-seeds', 'reduce runs --tags loss'],
    options: ['out', 'format', 'lax', 'tags', 'raw', 'threads', 'json'],
    run: async (terminal, paths, values) => (await import('./reduce.js')).reduce(terminal, paths, values),
  },
  report: {
    usage: `
  report <logdir>                   layer saturation as one HTML file to look at anywhere: the Saturation tab with all
                                    experiments below the logdir, findings, numbers
      --out, -o <path>                the file to write, or the folder for report.html; by default it goes into the logdir, where it
                                      disturbs no other program
      --raw                           with epochs that TensorBoard hides behind later ones
      --json                          as JSON`,
    examples: ['report runs', 'report runs --out saturation.html', 'report runs --out pages/'],
    options: ['out', 'raw', 'json'],
    run: async (terminal, paths, values) => (await import('./report.js')).report(terminal, onlyOne(paths), values),
  },
  watch: {
    usage: `
  watch <logdir>                    losses and saturation in the terminal while a network trains; ^C ends it
      --once                          draw once and end, as where standard output is no terminal
      --tags <regular expression>     only tags that match
      --json                          as JSON, a record on each line`,
    examples: ['watch runs', "watch runs --tags 'loss|saturation'"],
    options: ['once', 'tags', 'json'],
    run: async (terminal, paths, values) => (await import('./watch.js')).watch(terminal, onlyOne(paths), values),
  },
  tail: {
    usage: `
  tail <logdir>                     a line for each value as it is written: run, step, tag, value; ^C ends it
      --tags <regular expression>     only tags that match
      --json                          as JSON, a record on each line`,
    examples: ['tail runs --tags loss'],
    options: ['tags', 'json'],
    run: async (terminal, paths, values) => (await import('./tail.js')).tail(terminal, onlyOne(paths), values),
  },
  serve: {
    usage: `
  serve <logdir>                    the dashboard in a browser, without Python: scalars, saturation, histograms, images,
                                    audio, text, hparams and PR curves, read from the event files as they grow
      --port <number>                 6006, or another if it is taken
      --host <address>                listen for other computers, too: their address needs the token that is printed`,
    examples: ['serve runs', 'serve runs --host 0.0.0.0 --port 8080'],
    options: ['port', 'host'],
    run: async (terminal, paths, values) => (await import('./serve.js')).serve(terminal, onlyOne(paths), values),
  },
  share: {
    usage: `
  share <logdir> --out <folder>     the same as a folder of files, which any web server shows`,
    examples: ['share runs --out site'],
    options: ['out'],
    run: async (terminal, paths, values) => (await import('./serve.js')).share(terminal, onlyOne(paths), values.out),
  },
  onnx: {
    usage: `
  onnx layers <model.onnx>          the layers of an ONNX model, and the output that shows each
      --blocks                        the hidden state behind each numbered block instead
      --tags <regular expression>     only layers that match
      --json                          as JSON
  onnx weights <model.onnx>         what its weights say without data: WeightWatcher's alpha and norms
      --json                          as JSON
  onnx expose <model.onnx>          write the model with its layers as outputs
      --out, -o <path>                the file to write
  onnx saturation <model> <data.npy>  run the model (onnxruntime-node or onnxruntime-web must be installed) and show
                                    the saturation of its layers; for several inputs: input=data.npy ...; a folder of
                                    images (with sharp installed) in place of data.npy
      --batch <number>                items at a time; 32
      --size <height>x<width>         of images, where the model leaves it open
      --mean, --std <numbers>         of images: (value - mean) / std, with values from 0 to 1; for each channel, or for all
      --out, -o <logdir>              write it as a run, too
      --json                          as JSON`,
    examples: [
      'onnx layers model.onnx',
      'onnx expose model.onnx --out layers.onnx',
      'onnx saturation model.onnx input=data.npy --out runs/model',
      'onnx saturation model.onnx photos --size 224x224 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225',
    ],
    options: ['blocks', 'tags', 'json', 'out', 'batch', 'size', 'mean', 'std'],
    run: async (terminal, paths, values) => (await import('./onnx.js')).onnx(terminal, paths, values),
  },
  'run-node': {
    usage: `
  run-node --plan <file> --map <module> --store <folder or s3://...> --level <number or root> [--index <number>]
                                    does one node of a plan (see scale), however often it is called: level 0 maps a shard,
                                    others merge; the index may come from Kubernetes, SLURM or AWS Batch; ^C leaves nothing
                                    half done
      --json                          as JSON`,
    examples: [
      'run-node --plan plan.json --map map.mjs --store partials --level 0 --index 12',
      'run-node --plan plan.json --map map.mjs --store s3://bucket/partials --level root',
    ],
    options: ['plan', 'map', 'store', 'level', 'index', 'json'],
    run: async (terminal, paths, values) => {
      if (paths.length > 0) throw new UsageError(`run-node: expected options alone, got "${paths[0]}"`);
      return (await import('./scale.js')).runNode(terminal, values);
    },
  },
  scale: {
    usage: `
  scale plan <list of shards> --task <name>
                                    a plan to measure data on many machines, from a file with the name of a shard on each
                                    line (docs/scale.md)
      --fan-in <number>               so many partials are merged to one; 16
      --args <JSON>, --numerics <JSON>  what maps are given besides their shard; what decides the last bits of sums
      --out, -o <path>                the file to write; else standard output
  scale submit --plan <file> --queue <redis://... or postgres://...>
                                    enters the plan into a queue of BullMQ, again if it failed (docs/scale-engines.md)
  scale work --plan <file> --queue <URL> --map <module> --store <folder or s3://...>
                                    does nodes of the queue until the plan is done; ^C gives back what is under way
  scale status --plan <file> --store <folder or s3://...>
                                    how far the plan is: shards done, what failed and why, time left; exit code 1 if
                                    something failed
      --queue <URL>                   says also what the queue is doing, and what it has given up
      --once                          draw once and end, as where standard output is no terminal
      --json                          as JSON
  scale publish --plan <file> --store <folder or s3://...> --out <logdir>
                                    the plan's answer as a run, once, however often it is called
      --json                          as JSON`,
    examples: [
      'scale plan shards.txt --task digits --out plan.json',
      'scale submit --plan plan.json --queue redis://queue.example.org',
      'scale work --plan plan.json --queue redis://queue.example.org --map map.mjs --store s3://bucket/partials',
      'scale status --plan plan.json --store partials',
      'scale publish --plan plan.json --store partials --out runs',
    ],
    options: ['task', 'fan-in', 'args', 'numerics', 'plan', 'queue', 'map', 'store', 'once', 'out', 'json'],
    run: async (terminal, paths, values) => (await import('./scale.js')).scale(terminal, paths, values),
  },
  mcp: {
    usage: `
  mcp <logdir>                      answers the questions of an assistant about the logdir, by the Model Context Protocol on
                                    standard input and output (@modelcontextprotocol/sdk must be installed); it only reads`,
    examples: ['mcp runs'],
    options: [],
    run: async (terminal, paths, _values, version) => (await import('./mcp.js')).mcp(terminal, onlyOne(paths), version),
  },
  completions: {
    usage: `
  completions <bash, zsh or fish>   a script that lets the shell complete commands and options`,
    examples: [
      'completions bash >> ~/.bashrc',
      'completions zsh > ~/.zfunc/_delve-tensorboard',
      'completions fish > ~/.config/fish/completions/delve-tensorboard.fish',
    ],
    options: [],
    run: async (terminal, paths) => {
      terminal.write(completions(onlyOne(paths), known()));
      return 0;
    },
  },
  board: {
    usage: `
  board <logdir> [options]          start TensorBoard with the Saturation tab; options are TensorBoard's own`,
    examples: ['board runs', 'board --logdir runs --port 6007'],
    options: [],
    run: async (terminal, paths) => (await import('./board.js')).board(terminal, paths),
  },
};

/** What shells complete: each command with its description and its options. */
function known(): KnownCommand[] {
  return Object.entries(commands).map(([name, { options, usage: own }]) => ({
    name,
    description: /^\n {2}\S.*? {2,}(.*)|^\n {2}\S.*\n +(.*)/.exec(own)?.slice(1).find(Boolean) ?? '',
    options: ['help', ...options].map((option) => `--${option}`),
  }));
}

const usage = `Usage: delve-tensorboard <command> [options]

Reads TensorBoard's event files, whoever wrote them.

Commands:${Object.values(commands)
  .map((command) => command.usage)
  .join('')}

Options:
  --help, -h                        behind a command: what it does, with examples
  --version, -v

In the place of a file, - is standard input.
Control characters from files are shown escaped; files that export writes have them as they are. The exit code is 1 if a
file is damaged or cannot be read: the rest is shown all the same.
With --json standard output is a list with a record for each thing that was found; commands that go on write a record on each line.
Colors are left out if standard output is not a terminal or NO_COLOR is set; FORCE_COLOR has them.
`;

/** What `--help` behind a command says. */
function helpOf({ usage: own, examples }: Command): string {
  const lines = examples.map((example) => `  delve-tensorboard ${example}\n`).join('');
  return `Usage: delve-tensorboard <command> [options]\n${own}\n\nExamples:\n${lines}`;
}

/** Runs one command. Resolves to the exit code: 0, 1 if files are damaged, 2 if the command line is wrong. */
export async function main(terminal: Terminal, { positionals, values }: CommandLine, version: string): Promise<number> {
  const [command, ...paths] = positionals;
  if (values.version) {
    terminal.write(`${version}\n`);
    return 0;
  }
  if (command === undefined || command === 'help') {
    const wanted = commandNamed(paths[0]);
    terminal.write(wanted === undefined ? usage : helpOf(wanted));
    return values.help || command === 'help' ? 0 : 2;
  }
  try {
    const found = commandNamed(command);
    if (found === undefined) throw new UsageError(unknownCommand(command));
    if (values.help) {
      terminal.write(helpOf(found));
      return 0;
    }
    for (const option of Object.keys(values) as (keyof typeof cliOptions)[]) {
      if (found.options.includes(option)) continue;
      const taken = found.options.map((name) => `--${name}`);
      const other = didYouMean(`--${option}`, taken, taken.length === 0 ? '' : `it has ${taken.join(', ')}`);
      throw new UsageError(`${command} has no option --${option}${other}`);
    }
    if (command === 'board' || !paths.includes('-')) return await found.run(terminal, paths, values, version);
    return await runWithStdin(terminal, found, paths, values, version);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const topic = commandNamed(command) === undefined ? '' : `${command} `;
    terminal.writeError(`delve-tensorboard: ${printable(error.message)}\nTry: delve-tensorboard ${topic}--help\n`);
    return 2;
  }
}

/** Runs a command in whose paths `-` is a file that holds standard input. What is said of the file names what the user typed. */
async function runWithStdin(
  terminal: Terminal,
  { run }: Command,
  paths: string[],
  values: CommandLine['values'],
  version: string,
): Promise<number> {
  const file = await terminal.stdin();
  const worded = (text: string) => text.replaceAll(file, 'standard input');
  const told: Terminal = { ...terminal, writeError: (text) => terminal.writeError(worded(text)) };
  const typed = paths.map((path) => (path === '-' ? file : path));
  try {
    return await run(told, typed, values, version);
  } catch (error) {
    if (error instanceof Error) error.message = worded(error.message);
    throw error;
  }
}

function commandNamed(name: string | undefined): Command | undefined {
  return name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
}

function unknownCommand(command: string): string {
  return `there is no command "${command}"${didYouMean(command, Object.keys(commands))}`;
}

function onlyOne(paths: string[]): string | undefined {
  if (paths.length > 1) throw new UsageError(`expected one path, got ${paths.length}`);
  return paths[0];
}
