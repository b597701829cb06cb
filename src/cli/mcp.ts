/** The command `mcp`: a logdir for assistants, by the Model Context Protocol. It reads, and every answer is bounded. */
import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { describe, messageOf } from '../errors.js';
import type { TensorBoardEvent } from '../event/event.js';
import { adviseOn } from '../insight/advice.js';
import type { ResultIndex } from '../platform/result-index.js';
import { scanRun } from '../reader/shown-points.js';
import { readHistories } from '../saturation/runs.js';
import { diff } from './diff.js';
import { inspect } from './inspect.js';
import { lint } from './lint.js';
import { type FoundRun, findRuns, tagFilter, typedPath } from './runs.js';
import { jsonText } from './table.js';
import { Complaints, cut, plural, type Terminal, UsageError } from './terminal.js';

/** The greatest length of an answer in characters; a list is cut behind the record that would lead beyond it. */
const mostCharacters = 40_000;
/** The greatest length of a record; one that is longer is shortened, and says what it lacks. */
const mostOfRecord = 30_000;
/** Points of a curve, and what they are if nobody says. */
const [mostPoints, usualPoints] = [500, 50];
/** Points of a curve that are kept while it is read; if there are more, every second one is forgotten, again and again. */
const keptPoints = 2 ** 15;

/** What a tool finds: records, and a word about the rest. */
interface Found {
  readonly records: readonly object[];
  readonly note?: string;
}

/** The arguments of a call, checked by the table of the tool. */
type Arguments = Readonly<Record<string, unknown>>;

/** An argument as JSON schema has it; texts with the format `regex` are regular expressions. */
interface Input {
  readonly type: 'string' | 'integer';
  readonly description: string;
  readonly format?: 'regex';
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A question that an assistant may ask. */
interface Tool {
  readonly description: string;
  /** JSON schemas by name; those in `required` must be there. */
  readonly input: Readonly<Record<string, Input>>;
  readonly required?: readonly string[];
  ask(logdir: Logdir, input: Arguments): Promise<Found>;
}

const pattern = { type: 'string', format: 'regex' } as const;
const runs = { ...pattern, description: 'Only runs that match this regular expression.' } as const;
const tags = { ...pattern, description: 'Only tags that match this regular expression.' } as const;
const offset = {
  ...{ type: 'integer', minimum: 0 },
  description: 'How many records to pass over, to go on behind an answer that was cut.',
} as const satisfies Input;

const tools: Readonly<Record<string, Tool>> = {
  list_runs: {
    description: 'The runs of the logdir, with the number of their event files.',
    input: { runs, offset },
    async ask(logdir, input) {
      const complaints: string[] = [];
      const found = await logdir.runs(text(input, 'runs'), complaints);
      return { records: found.map(({ files, run }) => ({ run, files: files.length })), note: noteOf(complaints) };
    },
  },
  list_tags: {
    description: 'The tags of runs: plugin, number of points, first and last step, last value.',
    input: { runs, tags, offset },
    async ask(logdir, input) {
      const isRun = tagFilter(text(input, 'runs'), 'runs');
      const found = await logdir.ask((terminal, path) =>
        inspect(terminal, [path], { json: true, cache: true, tags: text(input, 'tags') }),
      );
      const all = found.records as { run: string; tags: object[] }[];
      const records = all.flatMap(({ run, tags }) => (isRun(run) ? tags.map((tag) => ({ run, ...tag })) : []));
      return { ...found, records };
    },
  },
  read_scalars: {
    description:
      'Curves of scalars as TensorBoard shows them: count, first, last, least and greatest value, and [step, value] points, evenly thinned.',
    input: {
      runs,
      tags,
      points: {
        ...{ type: 'integer', minimum: 2, maximum: mostPoints },
        description: `Points of each curve: ${usualPoints} if nothing is said, at most ${mostPoints}.`,
      },
      offset,
    },
    ask: readScalars,
  },
  read_saturation: {
    description:
      'Saturation of the layers of trainings at their last epoch (share of directions that a layer uses, from 0 to 1), and what it suggests.',
    input: {
      experiments: { ...pattern, description: 'Only experiments whose folder matches this regular expression.' },
      layers: { ...pattern, description: 'Only layers that match this regular expression; findings are about all.' },
      offset,
    },
    ask: readSaturation,
  },
  lint: {
    description:
      'What is wrong with trainings: NaN, spikes, plateaus, steps that go back, hidden runs and tags, dead or collapsing layers.',
    input: { tags, offset },
    ask: (logdir, input) =>
      logdir.ask((terminal, path) => lint(terminal, path, { json: true, cache: true, tags: text(input, 'tags') })),
  },
  compare: {
    description: 'In which scalars two runs, or two folders of runs, differ.',
    input: {
      first: { type: 'string', description: 'A run, or the folder of runs.' },
      second: { type: 'string', description: 'The other one.' },
      tags,
      offset,
    },
    required: ['first', 'second'],
    async ask(logdir, input) {
      const paths = [await logdir.below(text(input, 'first') ?? ''), await logdir.below(text(input, 'second') ?? '')];
      return logdir.ask((terminal) => diff(terminal, paths, { json: true, tags: text(input, 'tags') }));
    },
  },
};

function text(input: Arguments, name: string): string | undefined {
  return input[name] as string | undefined;
}

/** The logdir that is asked about; nothing outside it is read. */
class Logdir {
  readonly path: string;
  /** What was found before, while the server runs: runs that have not changed are not read again. */
  readonly #index: ResultIndex | undefined;

  constructor(path: string, index?: ResultIndex) {
    this.path = path;
    this.#index = index;
  }

  /** @param complaints takes what could not be read */
  async runs(pattern: string | undefined, complaints: string[]): Promise<FoundRun[]> {
    const isRun = tagFilter(pattern, 'runs');
    return (await findRuns(this.path, new Complaints(quiet(complaints)))).filter(({ run }) => isRun(run));
  }

  /** The path of a run, or of a folder that has runs below it. */
  async below(name: string): Promise<string> {
    const all = await this.runs(undefined, []);
    if (name === '.') return this.path;
    if (!all.some(({ run }) => run === name || run.startsWith(`${name}/`))) {
      throw new UsageError(`expected a run of the logdir, got ${describe(name)}; list_runs has their names`);
    }
    return `${this.path.replace(/\/+$/, '')}/${name}`;
  }

  /** What a command writes as JSON, and what it complains of. */
  async ask(command: (terminal: Terminal, path: string) => Promise<number>): Promise<Found> {
    const said: string[] = [];
    const complaints: string[] = [];
    const index = this.#index && (() => this.#index!);
    await command({ ...quiet(complaints), index, write: (part) => void said.push(part) }, this.path);
    return { records: JSON.parse(said.join('')) as object[], note: noteOf(complaints) };
  }
}

function noteOf(complaints: readonly string[]): string | undefined {
  if (complaints.length === 0) return undefined;
  const more = complaints.length > 5 ? `and ${plural(complaints.length - 5, 'more complaint')}\n` : '';
  return `${cut(complaints.slice(0, 5).join(''), 2000)}${more}`;
}

/** A terminal that nobody sees. */
function quiet(complaints: string[]): Terminal {
  return {
    colors: false,
    write: () => {},
    writeError: (message: string) => void complaints.push(message),
  } as unknown as Terminal;
}

/** A curve while it is read: exact in what it says of all points, with an even choice of them. */
class Thinned {
  count = 0;
  first: Point | undefined;
  last: Point | undefined;
  least: Point | undefined;
  greatest: Point | undefined;
  readonly #kept: Point[] = [];
  #every = 1;

  add(point: Point): void {
    this.first ??= point;
    this.last = point;
    const [, value] = point;
    if (Number.isFinite(value)) {
      if (this.least === undefined || value < this.least[1]) this.least = point;
      if (this.greatest === undefined || value > this.greatest[1]) this.greatest = point;
    }
    if (this.count++ % this.#every !== 0) return;
    this.#kept.push(point);
    if (this.#kept.length < keptPoints) return;
    // The count is a multiple of twice the distance now, so that the points that stay go on evenly.
    for (let i = 0; 2 * i < keptPoints; i++) this.#kept[i] = this.#kept[2 * i];
    this.#kept.length = keptPoints / 2;
    this.#every *= 2;
  }

  /** So many points, or all if there are fewer, from the first to the last. */
  points(most: number): Point[] {
    const all = this.#kept.at(-1) === this.last ? this.#kept : [...this.#kept, this.last!];
    const count = Math.min(most, all.length);
    return Array.from({ length: count }, (_, i) => all[Math.round((i * (all.length - 1)) / Math.max(1, count - 1))]);
  }
}

type Point = readonly [step: number | string, value: number];

async function readScalars(logdir: Logdir, input: Arguments): Promise<Found> {
  const most = Math.min(mostPoints, Math.max(2, Number(input.points ?? usualPoints)));
  const complaints: string[] = [];
  const records: object[] = [];
  const wanted = tagFilter(text(input, 'tags'), 'tags');
  for (const { files, run } of await logdir.runs(text(input, 'runs'), complaints)) {
    const curves = new Map<string, Thinned>();
    const visit = ({ step, summary = [] }: TensorBoardEvent, isShown: (index: number) => boolean) => {
      for (const [index, { tag, value }] of summary.entries()) {
        if (typeof value !== 'number' || !isShown(index)) continue;
        let curve = curves.get(tag);
        if (curve === undefined) curves.set(tag, (curve = new Thinned()));
        curve.add([typeof step === 'bigint' ? String(step) : step, value]);
      }
    };
    const complain = (message: string) => void complaints.push(`${message}\n`);
    await scanRun(files, { tags: wanted, complain, keepsRaw: false, startOver: () => curves.clear() }, visit);
    for (const [tag, curve] of curves) {
      const { count, first, greatest, last, least } = curve;
      records.push({ ...{ run, tag, count, first, last, least, greatest }, points: curve.points(most) });
    }
  }
  return { records, note: noteOf(complaints) };
}

async function readSaturation(logdir: Logdir, input: Arguments): Promise<Found> {
  const isWanted = tagFilter(text(input, 'experiments'), 'experiments');
  const isLayer = tagFilter(text(input, 'layers'), 'layers');
  const complaints: string[] = [];
  const histories = await readHistories(logdir.path, { onDamage: (message) => void complaints.push(`${message}\n`) });
  const records = [...histories].flatMap(([experiment, history]) => {
    const { last } = history;
    if (!isWanted(experiment) || last === undefined) return [];
    const { epoch, layers, step, threshold } = last;
    return [
      {
        ...{ experiment, epochs: history.epochs.length, epoch, step, threshold },
        layers: layers.flatMap(({ layer, split, values }) => (isLayer(layer) ? [{ layer, split, ...values }] : [])),
        findings: adviseOn(last).map(({ kind, layers, source, text: words }) => ({
          kind,
          layers,
          text: words,
          source: source.url,
        })),
      },
    ];
  });
  return { records, note: noteOf(complaints) };
}

/** The text of an answer: as many records as it may hold, and how many are left. */
function answerOf({ note, records }: Found, offset: number): string {
  const kept: string[] = [];
  let length = 0;
  for (let at = offset; at < records.length; at++) {
    const line = lineOf(records[at]);
    if (length + line.length > mostCharacters) break;
    kept.push(line);
    length += line.length;
  }
  const left = Math.max(0, records.length - offset - kept.length);
  const rest = left > 0 ? `,"left":${left},"nextOffset":${offset + kept.length}` : '';
  const said = note === undefined ? '' : `,"note":${JSON.stringify(note)}`;
  return `{"records":[${kept.join(',\n')}]${rest}${said}}`;
}

/** A record as JSON, which is no longer than `mostOfRecord`: `shortened` says what was left out of its texts and lists. */
function lineOf(record: object): string {
  const whole = jsonText(record);
  if (whole.length <= mostOfRecord) return whole;
  for (let most = 512; ; most >>= 1) {
    const shortened: Record<string, string> = {};
    const shorten = (value: unknown, path: string): unknown => {
      if (typeof value === 'string' && value.length > most) {
        shortened[path] = `${most} of ${value.length} characters`;
        return value.slice(0, most);
      }
      if (Array.isArray(value)) {
        if (value.length > most) shortened[path] = `${most} of ${value.length} entries`;
        return value.slice(0, most).map((entry, i) => shorten(entry, `${path}[${i}]`));
      }
      if (value === null || typeof value !== 'object') return value;
      const entries = Object.entries(value).map(([key, each]) => [key, shorten(each, path ? `${path}.${key}` : key)]);
      return Object.fromEntries(entries);
    };
    const line = jsonText({ ...(shorten(record, '') as object), shortened });
    if (line.length <= mostOfRecord || most === 1) return line;
  }
}

/** Checks the arguments of a call by the table of its tool. @throws UsageError that names the argument */
function check(name: string, tool: Tool, input: Arguments): void {
  for (const [key, value] of Object.entries(input)) {
    if (!Object.hasOwn(tool.input, key)) {
      throw new UsageError(`${name}: expected ${Object.keys(tool.input).join(', ')}, got ${describe(key)}`);
    }
    const { format, maximum = Number.MAX_SAFE_INTEGER, minimum = 0, type } = tool.input[key];
    const isRight =
      type === 'string'
        ? typeof value === 'string'
        : Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
    if (!isRight) {
      const range = maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
      const wanted = type === 'string' ? 'a text' : `a whole number ${range}`;
      throw new UsageError(`${name}: expected ${key} to be ${wanted}, got ${describe(value)}`);
    }
    if (format === 'regex') tagFilter(value as string, `${name}: ${key}`);
  }
  for (const key of tool.required ?? []) {
    if (input[key] === undefined) throw new UsageError(`${name}: expected ${key}`);
  }
}

/** The server, not yet connected. @throws UsageError that says how to install the SDK */
export async function mcpServer(path: string, version: string, index?: ResultIndex): Promise<Server> {
  const sdk = await loadSdk();
  const logdir = new Logdir(path, index);
  const server = new sdk.Server({ name: 'delve-tensorboard', version }, { capabilities: { tools: {} } });
  server.setRequestHandler(sdk.ListToolsRequestSchema, async () => ({
    tools: Object.entries(tools).map(([name, { description, input, required = [] }]) => ({
      name,
      description,
      inputSchema: { type: 'object' as const, properties: input, required: [...required], additionalProperties: false },
      annotations: { readOnlyHint: true, openWorldHint: false },
    })),
  }));
  server.setRequestHandler(sdk.CallToolRequestSchema, async ({ params: { arguments: input = {}, name } }) => {
    try {
      if (!Object.hasOwn(tools, name))
        throw new UsageError(`expected ${Object.keys(tools).join(', ')}, got ${describe(name)}`);
      check(name, tools[name], input);
      const found = await tools[name].ask(logdir, input);
      return { content: [{ type: 'text' as const, text: answerOf(found, Number(input.offset ?? 0)) }] };
    } catch (error) {
      return {
        content: [{ type: 'text' as const, text: cut(messageOf(error).replace(/^--(?=\w+: )/, ''), 2000) }],
        isError: true,
      };
    }
  });
  return server;
}

async function loadSdk() {
  try {
    const { Server } = await import('@modelcontextprotocol/sdk/server/index.js');
    const { CallToolRequestSchema, ListToolsRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
    return { Server, CallToolRequestSchema, ListToolsRequestSchema };
  } catch (error) {
    throw new UsageError(
      `mcp needs the package @modelcontextprotocol/sdk: npm install @modelcontextprotocol/sdk. ${messageOf(error)}`,
    );
  }
}

/** `mcp`: answers on standard input and output until the other side is gone. */
export async function mcp(terminal: Terminal, path: string | undefined, version: string): Promise<number> {
  if (path === undefined) throw new UsageError("expected a logdir, as in 'mcp runs'");
  const logdir = typedPath(path, 'the path');
  // A wrong path is told at once; a logdir may be empty still.
  await findRuns(logdir, new Complaints(terminal)).catch((error) => {
    if (!messageOf(error).startsWith('there is no event file')) throw error;
  });
  const server = await mcpServer(logdir, version, terminal.index?.('memory'));
  const { StdioServerTransport } = await import('@modelcontextprotocol/sdk/server/stdio.js');
  const closed = new Promise<void>((resolve) => {
    server.onclose = resolve;
  });
  await server.connect(new StdioServerTransport());
  await Promise.race([closed, terminal.ended()]);
  await server.close();
  return 0;
}
