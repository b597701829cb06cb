/** What `export` writes as tables: which columns a kind of summary has, and which rows a run's summaries make. */
import type { DecodedSummary, HistogramValue, SummaryValue, TensorBoardEvent, TensorValue } from '../event/event.js';
import type { Cell, Column, Table } from './table.js';

/** Takes the summaries of an export, run after run. */
export interface Exporter {
  /** Takes a summary; false if it is none that can be exported. */
  add(run: string, event: TensorBoardEvent, summary: DecodedSummary): boolean;
  /** All summaries of a run have come. */
  endRun?(run: string): void;
  /** All runs have come. */
  end(): void;
}

/** How a kind of summary stands in a table, one record for each. */
interface TableKind {
  readonly plugin: string;
  /** Its columns behind those that all have. */
  readonly columns: readonly Column[];
  /** Its rows behind the cells that all have, and its value as JSON; undefined for what is none. */
  read(value: SummaryValue): { rows: readonly (readonly Cell[])[]; json: unknown } | undefined;
}

const counts = ['true_positives', 'false_positives', 'true_negatives', 'false_negatives', 'precision', 'recall'];
const number = (name: string): Column => ({ name, type: 'number' });

/** The kinds whose summaries are rows of a table. */
export const tableKinds: Readonly<Record<'scalars' | 'histograms' | 'text' | 'pr_curves', TableKind>> = {
  scalars: {
    plugin: 'scalars',
    columns: [number('value')],
    read: (value) => (typeof value === 'number' ? { rows: [[value]], json: value } : undefined),
  },
  histograms: {
    plugin: 'histograms',
    columns: ['left', 'right', 'count'].map(number),
    read(value) {
      if (typeof value !== 'object' || !('buckets' in value)) return undefined;
      const rows = bucketsOf(value);
      return { rows, json: rows };
    },
  },
  text: {
    plugin: 'text',
    columns: [{ name: 'value', type: 'text' }],
    read(value) {
      if (typeof value !== 'object' || !('strings' in value)) return undefined;
      const { shape, strings } = value;
      return { rows: strings.map((text) => [text]), json: shape.length === 0 ? strings[0] : strings };
    },
  },
  pr_curves: {
    plugin: 'pr_curves',
    columns: ['threshold', ...counts].map(number),
    read(value) {
      if (typeof value !== 'object' || !('dtype' in value)) return undefined;
      const rows = curveOf(value);
      return rows && { rows, json: rows.map((row) => Object.fromEntries(row.map((cell, i) => [curveKeys[i], cell]))) };
    },
  },
};

const curveKeys = ['threshold', ...counts.map((name) => name.replace(/_(\w)/, (_, letter) => letter.toUpperCase()))];

function bucketsOf({ buckets }: HistogramValue): number[][] {
  const rows: number[][] = [];
  for (let at = 0; at < buckets.length; at += 3) rows.push([buckets[at], buckets[at + 1], buckets[at + 2]]);
  return rows;
}

/** A row for each threshold, from 0 to 1 in equal steps. Source: tensorboard/plugins/pr_curve/pr_curves_plugin.py */
function curveOf({ data, shape }: TensorValue): number[][] | undefined {
  const [six, thresholds] = shape;
  if (shape.length !== 2 || six !== 6) return undefined;
  return Array.from({ length: thresholds }, (_, i) => {
    const cells = Array.from({ length: six }, (_, row) => Number(data[row * thresholds + i]));
    return [thresholds === 1 ? 0 : i / (thresholds - 1), ...cells];
  });
}

const address: readonly Column[] = [
  { name: 'run', type: 'text' },
  { name: 'tag', type: 'text' },
  { name: 'step', type: 'step' },
  { name: 'wall_time', type: 'number' },
];

/** A table with a record for each summary. */
export function longTable(kind: TableKind, open: (columns: readonly Column[]) => Table): Exporter {
  const table = open([...address, ...kind.columns]);
  return {
    add(run, { step, wallTime }, { plugin, tag, value }) {
      const read = plugin === kind.plugin ? kind.read(value) : undefined;
      if (read === undefined) return false;
      const before = [run, tag, step, wallTime];
      const rows = read.rows.map((row) => [...before, ...row]);
      table.add(rows, () => ({ run, tag, step, wallTime, value: read.json }));
      return true;
    },
    end: () => table.end(),
  };
}

/** How the columns of a wide table begin; those behind them are tags. */
export const wideHead: readonly Column[] = [address[0], address[2], address[3]];

const nameOfWideHead = new RegExp(`^(tag/)*(${wideHead.map(({ name }) => name).join('|')})$`);

/** The column of a tag in a wide table: `tag/` stands before one that would have the name of another column. */
function columnOfTag(tag: string): string {
  return nameOfWideHead.test(tag) ? `tag/${tag}` : tag;
}

/** The inverse of the name that a wide table gives to a tag's column. */
export function tagOfColumn(column: string): string {
  return nameOfWideHead.test(column) ? column.replace('tag/', '') : column;
}

/** A row of a wide table while its run is read. */
interface WideRow {
  readonly step: number | bigint;
  wallTime: number;
  readonly values: (number | undefined)[];
}

/** A table of scalars with a row for each step of a run and a column for each tag. */
export function wideTable(tags: readonly string[], open: (columns: readonly Column[]) => Table): Exporter {
  const table = open([...wideHead, ...tags.map((tag) => number(columnOfTag(tag)))]);
  const columnOf = new Map(tags.map((tag, i) => [tag, i]));
  const byStep = new Map<number | bigint, WideRow[]>();
  return {
    add(_run, { step, wallTime }, { tag, value }) {
      const column = columnOf.get(tag);
      if (typeof value !== 'number' || column === undefined) return false;
      let rows = byStep.get(step);
      if (rows === undefined) byStep.set(step, (rows = []));
      // Only with --raw a tag has several values at a step: each stands in a row of its own.
      let row = rows.find((each) => each.values[column] === undefined);
      if (row === undefined) rows.push((row = { step, wallTime, values: new Array(tags.length) }));
      row.values[column] = value;
      row.wallTime = Math.max(row.wallTime, wallTime);
      return true;
    },
    endRun(run) {
      const rows = [...byStep.values()].sort((a, b) => (a[0].step < b[0].step ? -1 : 1)).flat();
      for (const { step, values, wallTime } of rows) {
        table.add([[run, step, wallTime, ...Array.from(values)]], () => {
          const present = tags.flatMap((tag, i) => (values[i] === undefined ? [] : [[tag, values[i]]]));
          return { run, step, wallTime, values: Object.fromEntries(present) };
        });
      }
      byStep.clear();
    },
    end: () => table.end(),
  };
}

type Hparam = string | number | boolean;

/** What is known of one run's session. */
interface Session {
  readonly hparams: Readonly<Record<string, Hparam>>;
  status: string;
}

/**
 * A table with a row for each run that has hyperparameters, and the last value of its metrics: those that the experiment names,
 * or all scalars if none does. Runs below it, such as Keras' `train` and `validation`, have their name before the tag; those that
 * have hyperparameters themselves have rows of their own.
 */
export function hparamsTable(open: (columns: readonly Column[]) => Table): Exporter {
  const sessions = new Map<string, Session>();
  const ends = new Map<string, string>();
  const scalars = new Map<string, Map<string, number>>();
  const named = new Set<string>();
  return {
    add(run, _event, { plugin, tag, value }) {
      if (plugin === 'scalars' && typeof value === 'number') {
        let last = scalars.get(run);
        if (last === undefined) scalars.set(run, (last = new Map()));
        last.set(tag, value);
      } else if (typeof value === 'object' && 'dtype' in value && plugin === 'hparams') {
        if ('sessionStart' in value && value.sessionStart) {
          sessions.set(run, { hparams: value.sessionStart.hparams, status: 'unknown' });
        }
        if ('sessionEnd' in value && value.sessionEnd) ends.set(run, value.sessionEnd.status);
        if ('experiment' in value && value.experiment) {
          const { metricGroups = [], metrics } = value.experiment;
          for (const [i, tag] of metrics.entries()) named.add(metricGroups[i] ? `${metricGroups[i]}/${tag}` : tag);
        }
      } else {
        // Nothing else is asked for.
        return plugin !== 'hparams';
      }
      return true;
    },
    end() {
      const rows = [...sessions].map(([run, { hparams }]) => ({
        run,
        hparams,
        metrics: metricsOf(run, sessions, scalars, named),
        status: ends.get(run) ?? 'unknown',
      }));
      const hparamNames = [...new Set(rows.flatMap(({ hparams }) => Object.keys(hparams)))];
      const metricNames = [...new Set(rows.flatMap(({ metrics }) => [...metrics.keys()]))];
      const taken = new Set(['run', 'status']);
      const free = (name: string, prefix: string) => {
        const chosen = taken.has(name) ? `${prefix}/${name}` : name;
        taken.add(chosen);
        return chosen;
      };
      const columns: Column[] = [
        address[0],
        ...hparamNames.map((name) => ({ name: free(name, 'hparam'), type: typeOf(rows, name) })),
        ...metricNames.map((name) => number(free(name, 'metric'))),
        { name: 'status', type: 'text' },
      ];
      const table = open(columns);
      for (const { hparams, metrics, run, status } of rows) {
        const cells = hparamNames.map((name, i) => {
          const value = Object.hasOwn(hparams, name) ? hparams[name] : undefined;
          return columns[1 + i].type === 'text' && value !== undefined ? String(value) : value;
        });
        const row = [run, ...cells, ...metricNames.map((name) => metrics.get(name)), status];
        table.add([row], () => ({ run, hparams, metrics: Object.fromEntries(metrics), status }));
      }
      table.end();
    },
  };
}

/** The metrics of a session: those of its run and of the runs below it that belong to no session nearer to them. */
function metricsOf(
  run: string,
  sessions: ReadonlyMap<string, unknown>,
  scalars: ReadonlyMap<string, ReadonlyMap<string, number>>,
  named: ReadonlySet<string>,
): Map<string, number> {
  const metrics = new Map<string, number>();
  const below = run === '.' ? '' : `${run}/`;
  for (const [other, values] of scalars) {
    if (sessionOf(other, sessions) !== run) continue;
    const group = other === run ? '' : `${other.slice(below.length)}/`;
    for (const [tag, value] of values) {
      if (named.size === 0 || named.has(tag) || named.has(group + tag)) metrics.set(group + tag, value);
    }
  }
  return metrics;
}

/** The run at or above a run that is a session, the nearest one. Source: tensorboard/plugins/hparams/backend_context.py */
function sessionOf(run: string, sessions: ReadonlyMap<string, unknown>): string | undefined {
  for (let at = run.length; at > 0; at = run.lastIndexOf('/', at - 1)) {
    if (sessions.has(run.slice(0, at))) return run.slice(0, at);
  }
  return sessions.has('.') ? '.' : undefined;
}

function typeOf(rows: readonly { hparams: Readonly<Record<string, Hparam>> }[], name: string): Column['type'] {
  const types = new Set(rows.flatMap(({ hparams }) => (Object.hasOwn(hparams, name) ? [typeof hparams[name]] : [])));
  if (types.size !== 1) return 'text';
  return types.has('number') ? 'number' : types.has('boolean') ? 'boolean' : 'text';
}
