/** The command `diff`: in which scalars two logdirs differ. */
import type { TensorBoardEvent } from '../event/event.js';
import { scanRun } from '../reader/shown-points.js';
import { findRuns, tagFilter } from './runs.js';
import { writeJson } from './table.js';
import { Complaints, plural, type Terminal, UsageError, writeTable } from './terminal.js';

/** Options of `diff`, as typed. */
interface DiffOptions {
  json?: boolean;
  raw?: boolean;
  tags?: string;
}

/** By run and tag (`run\0tag`): values by step. */
type Curves = Map<string, Map<bigint, number>>;

/** How a scalar differs. */
interface Difference {
  readonly run: string;
  readonly tag: string;
  /** Steps that only one side has. */
  readonly onlyFirst: number;
  readonly onlySecond: number;
  /** Steps that both have, and at how many of them the values differ. */
  readonly both: number;
  readonly different: number;
  /** The greatest difference, second less first, and its step; undefined if there is none. */
  readonly greatest: { readonly step: string; readonly difference: number } | undefined;
  /** The last values. */
  readonly first: number | undefined;
  readonly second: number | undefined;
}

/** `diff`: resolves to 0 if all scalars are equal, 1 if some differ or a file is damaged. */
export async function diff(terminal: Terminal, paths: readonly string[], options: DiffOptions): Promise<number> {
  if (paths.length !== 2) throw new UsageError(`expected two logdirs or files, got ${paths.length}`);
  const complaints = new Complaints(terminal);
  const others = new Set<string>();
  const first = await read(paths[0], options, complaints, others);
  const second = await read(paths[1], options, complaints, others);
  const keys = new Set([...first.keys(), ...second.keys()]);
  const differences = [...keys].flatMap((key) => compare(key, first.get(key), second.get(key)) ?? []);
  if (options.json) writeJson(terminal, differences);
  else if (differences.length === 0) terminal.write(`${plural(keys.size, 'scalar')}: equal\n`);
  else show(terminal, differences, keys.size);
  if (others.size > 0) terminal.writeError(`${plural(others.size, 'tag')} of other kinds than scalars: not compared\n`);
  return differences.length > 0 ? 1 : complaints.exitCode;
}

/** @param others gets the tags that are no scalars, with their runs */
async function read(
  path: string,
  { raw, tags }: DiffOptions,
  complaints: Complaints,
  others: Set<string>,
): Promise<Curves> {
  const curves: Curves = new Map();
  for (const { run, files } of await findRuns(path, complaints)) {
    const visit = ({ step, summary }: TensorBoardEvent, isShown: (index: number) => boolean) => {
      for (const [index, { tag, value }] of (summary ?? []).entries()) {
        if (!isShown(index)) continue;
        const key = `${run}\0${tag}`;
        if (typeof value !== 'number') {
          others.add(key);
          continue;
        }
        let curve = curves.get(key);
        if (curve === undefined) curves.set(key, (curve = new Map()));
        curve.set(BigInt(step), value);
      }
    };
    await scanRun(files, { tags: tagFilter(tags), raw, complain: (message) => complaints.add(message) }, visit);
  }
  return curves;
}

function compare(
  key: string,
  first: ReadonlyMap<bigint, number> = new Map(),
  second: ReadonlyMap<bigint, number> = new Map(),
): Difference | undefined {
  // A folder's name has no NUL; a tag may have one.
  const [run] = key.split('\0', 1);
  const tag = key.slice(run.length + 1);
  let both = 0;
  let different = 0;
  let greatest: Difference['greatest'];
  for (const [step, value] of first) {
    const other = second.get(step);
    if (other === undefined) continue;
    both++;
    // Two NaN are equal here.
    if (Object.is(value, other) || value === other) continue;
    different++;
    const difference = other - value;
    if (greatest === undefined || Math.abs(difference) > Math.abs(greatest.difference) || Number.isNaN(difference)) {
      greatest = { step: String(step), difference };
    }
  }
  const [onlyFirst, onlySecond] = [first.size - both, second.size - both];
  if (onlyFirst + onlySecond + different === 0) return undefined;
  const last = (curve: ReadonlyMap<bigint, number>) => [...curve].sort(([a], [b]) => (a < b ? -1 : 1)).at(-1)?.[1];
  return { run, tag, onlyFirst, onlySecond, both, different, greatest, first: last(first), second: last(second) };
}

function show(terminal: Terminal, differences: readonly Difference[], count: number): void {
  const number = (value: number | undefined) => (value === undefined ? '' : String(Number(value.toPrecision(6))));
  const rows = differences.map(({ run, tag, greatest, first, second, different, both, onlyFirst, onlySecond }) => [
    run,
    tag,
    number(first),
    number(second),
    greatest === undefined ? '' : `${number(greatest.difference)} at ${greatest.step}`,
    `${different} of ${both}`,
    [onlyFirst > 0 ? `${onlyFirst} in the first` : '', onlySecond > 0 ? `${onlySecond} in the second` : '']
      .filter((words) => words !== '')
      .join(', '),
  ]);
  const header = ['run', 'tag', 'last', 'last of the second', 'greatest difference', 'steps that differ', 'steps only'];
  writeTable(terminal, header, rows, ['last', 'last of the second']);
  terminal.write(`${differences.length} of ${plural(count, 'scalar')} differ\n`);
}
