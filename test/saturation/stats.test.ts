import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PlotStore } from '../../src/reports/plot-store.js';
import { ReportStore } from '../../src/reports/report-store.js';
import { arrayStats, scalarStatNames, scalarStats, statNamed, statNames } from '../../src/saturation/stats.js';
import { ConsoleStore } from '../../src/stores/console-store.js';
import { EpochTable } from '../../src/stores/epoch-table.js';
import { MemoryStoreFiles } from '../../src/stores/memory-store-files.js';
import { reconstructCsv } from '../../src/stores/reconstruct-csv.js';
import { resolveOptions } from '../../src/tracker/options.js';
import { SaturationTracker } from '../../src/tracker/saturation-tracker.js';
import { temporaryFolder } from '../support/folders.js';
import { dense, normalTensor } from '../support/models.js';
import { type ReadSummary, summariesOf } from '../support/read-run.js';
import { RecordingStore } from '../support/recording-store.js';

// A statistic is one row of the table. Whatever stands in the table must be visible everywhere, so that a row that is
// added one day needs no test of its own for that.

const rows = Object.entries(scalarStats);
const folder = temporaryFolder(afterAll);
const logdir = join(folder, 'run');
const recorded = new RecordingStore();
const printed: string[] = [];
const files = new MemoryStoreFiles();
let summaries: ReadSummary[];

beforeAll(async () => {
  const model = dense.build();
  const tracker = new SaturationTracker(logdir, model, {
    stats: [...scalarStatNames, 'spectrum'],
    saveTo: [
      'tensorboard',
      'csv',
      'npy',
      recorded,
      new ConsoleStore({ print: (text) => printed.push(text), colors: false }),
      new PlotStore('plot', { format: 'svg', files }),
      new ReportStore('report.html', { files }),
    ],
  });
  // Drift needs two epochs.
  for (const seed of [1, 2]) {
    const x = normalTensor([200, 6], seed);
    tracker.record('train', () => tf.tidy(() => void model.predictOnBatch(x)));
    await tracker.addSaturations();
  }
  await tracker.close();
  summaries = await summariesOf(join(logdir, 'train'));
});

/** The value that the tracker measured of the layer `hidden` in the second epoch. */
function measured(stat: string): number {
  const value = recorded.layer('train', 'hidden', 1).values[stat as 'trace'];
  if (value === undefined) throw new Error(`${stat} was not measured`);
  return value;
}

// A tracker does not know the classes of its samples: test/saturation/health.test.ts has the statistics that need them.
describe.each(rows.filter(([, { basis }]) => basis !== 'labels'))('the statistic %s', (stat, row) => {
  it('can be asked for by its name, and by Delve’s if it has one', () => {
    expect(resolveOptions({ stats: [stat as 'trace'] }).scalars).toEqual([stat]);
    if (row.delve !== undefined) expect(resolveOptions({ stats: [row.delve as 'trc'] }).scalars).toEqual([stat]);
  });

  it('is a chart in TensorBoard that says what it means', () => {
    const points = summaries.filter(({ tag }) => tag === `${row.tagGroup}/hidden`);
    expect(points.at(-1)).toMatchObject({ step: 2, plugin: 'scalars', value: Math.fround(measured(stat)) });
    expect(points[0].description).toContain(row.meaning);
  });

  it('is a column of the csv file', () => {
    const table = EpochTable.parse(readFileSync(`${logdir}.csv`, 'utf8'));
    expect(table.value(1, `train-${row.column}_hidden`)).toBe(measured(stat));
  });

  it('is a file for numpy, from which the csv file can be made anew', async () => {
    const name = `_train-${row.column}_hidden`;
    expect(existsSync(join(logdir, name, `${name}_epoch1.npy`))).toBe(true);
    const table = await reconstructCsv(logdir, { stats: [stat] });
    expect(table.value(1, `train-${row.column}_hidden`)).toBe(measured(stat));
  });

  it('is a column on the console', () => {
    expect(printed[1].split('\n')[1]).toContain(`  ${row.head}`);
  });

  it('is a picture of the plot store', () => {
    const picture = files.files.get(`plot_${row.delve ?? stat}_train_epoch_1.svg`);
    expect(new TextDecoder().decode(picture)).toContain(`${row.title.slice(1)} by depth`);
  });

  it('is a column of the report', () => {
    expect(new TextDecoder().decode(files.files.get('report.html'))).toContain(`<th>${row.title}</th>`);
  });
});

describe('the table of statistics', () => {
  it.each(['delve', 'column', 'tagGroup', 'head', 'title', 'meaning'] as const)('has no %s twice', (member) => {
    const all = [...rows, ...Object.entries(arrayStats)].map(([, row]) => (row as (typeof rows)[0][1])[member]);
    const present = all.filter((value) => value !== undefined);
    expect(new Set(present).size).toBe(present.length);
  });

  it('knows each statistic by every name that `stats` takes, and no other', () => {
    for (const name of statNames) expect(statNamed(name), name).toBeDefined();
    expect(statNames).toEqual(
      expect.arrayContaining(['lsat', 'idim', 'trc', 'det', 'dtrc', 'cov', 'embed', 'spectrum', 'drift']),
    );
    for (const name of ['Saturation', 'toString', '__proto__', '']) expect(statNamed(name)).toBeUndefined();
  });
});
