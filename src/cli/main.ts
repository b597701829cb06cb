/** The command line of `delve-tensorboard`: its commands, its options, its usage text. */
import { printable } from '../errors.js';
import { writeReport } from '../reports/report-store.js';
import { board } from './board.js';
import { exportKinds, exportLogdir } from './export.js';
import { inspect } from './inspect.js';
import { lint } from './lint.js';
import { onnx } from './onnx.js';
import { reduce } from './reduce.js';
import { typedPath } from './runs.js';
import { serve, share } from './serve.js';
import { Complaints, type Terminal, UsageError } from './terminal.js';
import { verify } from './verify.js';
import { watch } from './watch.js';

/** Options as `parseArgs` of node:util takes them. */
export const cliOptions = {
  batch: { type: 'string' },
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
  tags: { type: 'string' },
  version: { type: 'boolean' },
} as const;

/** A command line, taken apart. */
export interface CommandLine {
  values: {
    batch?: string;
    blocks?: boolean;
    format?: string;
    help?: boolean;
    host?: string;
    json?: boolean;
    kind?: string;
    lax?: boolean;
    once?: boolean;
    out?: string;
    plain?: boolean;
    port?: string;
    raw?: boolean;
    tags?: string;
    version?: boolean;
  };
  positionals: string[];
}

const usage = `Usage: delve-tensorboard <command> [options]

Reads TensorBoard's event files, whoever wrote them.

Commands:
  inspect <logdir or file>          what is in it: runs, tags, plugins, counts, steps, last values
      --tags <regular expression>     only tags that match
      --raw                           count points that TensorBoard hides behind later ones, too
      --json                          as JSON
  lint <logdir>                     what is wrong with a training: NaN, spikes, plateaus, steps that go back, runs that hide
                                    each other, layers that are dead or collapse; exit code 1 if something is
      --tags <regular expression>     only tags that match
      --json                          as JSON
  verify <logdir or file>...        read every record; exit code 1 if one is damaged
  export <logdir or file>           scalars as CSV to standard output
      --kind <kind>                   ${exportKinds.join(', ')}
      --format <csv or json>          csv
      --out, -o <path>                the file to write; for images and audio the folder
      --tags <regular expression>     only tags that match
      --raw                           points that TensorBoard hides behind later ones, too
      --plain                         texts as they are: without it, CSV has an apostrophe before those that a
                                      spreadsheet would run as formulas
  reduce <run or logdir>...         mean, std, min, max and median of the scalars of several runs, such as one training with
                                    several seeds; of one folder: of the runs in it
      --out, -o <folder>              writes a run for each, and margin charts (run band); or a file ending in .csv
      --format <csv or events>        csv without --out goes to standard output
      --lax                           with steps that only some of the runs have
      --tags <regular expression>     only tags that match
      --raw                           with points that TensorBoard hides behind later ones
  report <logdir>                   layer saturation as one HTML file to look at anywhere: the Saturation tab with all
                                    experiments below the logdir, findings, numbers
      --out, -o <path>                the file to write; <logdir>/report.html
      --raw                           with epochs that TensorBoard hides behind later ones
  watch <logdir>                    losses and saturation in the terminal while a network trains; ^C ends it
      --once                          draw once and end, as where standard output is no terminal
      --tags <regular expression>     only tags that match
  serve <logdir>                    the dashboard in a browser, without Python: scalars, saturation, histograms, images,
                                    audio, text, hparams and PR curves, read from the event files as they grow
      --port <number>                 6006, or another if it is taken
      --host <address>                listen for other computers, too: their address needs the token that is printed
  share <logdir> --out <folder>     the same as a folder of files, which any web server shows
  onnx layers <model.onnx>          the layers of an ONNX model, and the output that shows each
      --blocks                        the hidden state behind each numbered block instead
      --tags <regular expression>     only layers that match
      --json                          as JSON
  onnx expose <model.onnx>          write the model with its layers as outputs
      --out, -o <path>                the file to write
  onnx saturation <model> <data.npy>  run the model (onnxruntime-node or onnxruntime-web must be installed) and show
                                    the saturation of its layers; for several inputs: input=data.npy ...
      --batch <number>                items at a time; 32
      --out, -o <logdir>              write it as a run, too
      --json                          as JSON
  board <logdir> [options]          start TensorBoard with the Saturation tab; options are TensorBoard's own

Options:
  --help, -h
  --version

Control characters from files are shown escaped; files that export writes have them as they are. The exit code is 1 if a
file is damaged or cannot be read: the rest is shown all the same.
Colors are left out if standard output is not a terminal or NO_COLOR is set.
`;

/** Runs one command. Resolves to the exit code: 0, 1 if files are damaged, 2 if the command line is wrong. */
export async function main(terminal: Terminal, { positionals, values }: CommandLine, version: string): Promise<number> {
  const [command, ...paths] = positionals;
  if (values.version) {
    terminal.write(`${version}\n`);
    return 0;
  }
  if (values.help || command === undefined || command === 'help') {
    terminal.write(usage);
    return values.help || command === 'help' ? 0 : 2;
  }
  try {
    switch (command) {
      case 'inspect':
        return await inspect(terminal, onlyOne(paths), values);
      case 'lint':
        return await lint(terminal, onlyOne(paths), values);
      case 'verify':
        return await verify(terminal, paths);
      case 'export':
        return await exportLogdir(terminal, onlyOne(paths), values);
      case 'reduce':
        return await reduce(terminal, paths, values);
      case 'watch':
        return await watch(terminal, onlyOne(paths), values);
      case 'serve':
        return await serve(terminal, onlyOne(paths), values);
      case 'share':
        return await share(terminal, onlyOne(paths), values.out);
      case 'onnx':
        return await onnx(terminal, paths, values);
      case 'board':
        return await board(terminal, paths);
      case 'report':
        return await report(terminal, onlyOne(paths), values);
      default:
        throw new UsageError(`there is no command "${command}"`);
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.writeError(`delve-tensorboard: ${printable(error.message)}\nTry: delve-tensorboard --help\n`);
    return 2;
  }
}

function onlyOne(paths: string[]): string | undefined {
  if (paths.length > 1) throw new UsageError(`expected one path, got ${paths.length}`);
  return paths[0];
}

/** `report`: writes a page about what trackers wrote, and prints its path. */
async function report(
  terminal: Terminal,
  logdir: string | undefined,
  { out, raw }: CommandLine['values'],
): Promise<number> {
  if (logdir === undefined) throw new UsageError('expected the path of a logdir that a SaturationTracker wrote');
  const complaints = new Complaints(terminal);
  const options = { raw, onDamage: (message: string) => complaints.add(message) };
  const folder = typedPath(logdir, 'the path');
  const path = await writeReport(folder, { ...options, path: out === undefined ? undefined : typedPath(out, '--out') });
  terminal.write(`${printable(path)}\n`);
  return complaints.exitCode;
}
