import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, it } from 'vitest';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { CsvStore } from '../../src/stores/csv-store.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import { reconstructCsv } from '../../src/stores/reconstruct-csv.js';
import { epochOf, layer } from '../support/epochs.js';
import { temporaryFolder } from '../support/folders.js';

const delveOutputs = fileURLToPath(new URL('../fixtures/delve_outputs/', import.meta.url));

const environment = inject('tensorboard');
const missing = 'missing' in environment ? environment.missing : withoutPandas(environment.python);

function withoutPandas(python: string): string | undefined {
  return spawnSync(python, ['-c', 'import numpy, pandas']).status === 0 ? undefined : 'no numpy and pandas';
}

/** What a Python program prints as JSON. NaN comes as null. */
function python<T>(program: string, ...args: string[]): T {
  const { python: executable } = environment as { python: string };
  const lines = ['import sys, json, pickle, numpy as np', program];
  const child = spawnSync(executable, ['-c', lines.join('\n'), ...args], { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout.replaceAll('NaN', 'null')) as T;
}

const covariance = Float64Array.of(4, 1e-300, 1e-300, Math.PI);
const epochs = [0, 1].map((epoch) =>
  epochOf(
    epoch,
    [
      layer('fc;"one"', 'train', {
        features: 2,
        values: { saturation: 1 / 3, intrinsicDimensionality: epoch, logDeterminant: -Infinity },
        covariance,
        spectrum: Spectrum.of(covariance),
        embedding: Float64Array.of(1, 2, 3, 4),
      }),
      ...(epoch === 1 ? [layer('block/late', 'val', { values: { saturation: Number.NaN } })] : []),
    ],
    [{ tag: 'train_accuracy', value: 0.1 + epoch }],
  ),
);

describe.skipIf(missing !== undefined)(`Delve's files in numpy and pandas${missing ? ` (${missing})` : ''}`, () => {
  it('pandas reads our csv as it reads Delve’s', async () => {
    const folder = temporaryFolder();
    const store = new CsvStore(`${folder}/run`);
    for (const epoch of epochs) await store.add(epoch);
    const read = python<{ index: number[]; columns: Record<string, unknown[]>; types: Record<string, string> }>(
      `
import pandas as pd
frame = pd.read_csv(sys.argv[1], sep=';', index_col=0, float_precision='round_trip')
print(json.dumps({'index': list(frame.index), 'columns': frame.to_dict('list'), 'types': frame.dtypes.astype(str).to_dict()}, default=float).replace('-Infinity', '"-inf"'))`,
      store.path,
    );
    expect(read.index).toEqual([0, 1]);
    expect(read.columns).toEqual({
      train_accuracy: [0.1, 1.1],
      'train-saturation_fc;"one"': [1 / 3, 1 / 3],
      'train-intrinsic-dimensionality_fc;"one"': [0, 1],
      'train-covariance-log-determinant_fc;"one"': ['-inf', '-inf'],
      'train-samples_fc;"one"': [640, 640],
      'train-features_fc;"one"': [2, 2],
      'eval-saturation_block/late': [null, null],
      'eval-samples_block/late': [null, 640],
      'eval-features_block/late': [null, 8],
    });
    expect(read.types['train-intrinsic-dimensionality_fc;"one"']).toBe('int64');
    expect(read.types['train-saturation_fc;"one"']).toBe('float64');
  });

  it('our csv is what pandas would have written', async () => {
    const folder = temporaryFolder();
    const store = new CsvStore(`${folder}/run`);
    await store.add(epochs[0]);
    const text = python<string>(
      `
import pandas as pd
columns = {'train_accuracy': [0.1], 'train-saturation_fc;"one"': [1/3], 'train-intrinsic-dimensionality_fc;"one"': [0],
  'train-covariance-log-determinant_fc;"one"': [-np.inf], 'train-samples_fc;"one"': [640], 'train-features_fc;"one"': [2]}
print(json.dumps(pd.DataFrame.from_dict(columns).to_csv(sep=';') == open(sys.argv[1]).read()))`,
      store.path,
    );
    expect(text).toBe(true);
  });

  it('numpy reads our arrays, and pickle our counter', async () => {
    const folder = temporaryFolder();
    const store = new NpyStore(folder);
    for (const epoch of epochs) await store.add(epoch);
    const read = python<{ arrays: Record<string, [string, number[], unknown]>; counter: Record<string, number> }>(
      `
import pathlib
root = pathlib.Path(sys.argv[1])
arrays = {p.name: np.load(p, allow_pickle=False) for p in root.rglob('*_epoch1.npy')}
print(json.dumps({'arrays': {k: [str(a.dtype), a.shape, str(a.tolist())] for k, a in arrays.items()},
  'counter': pickle.load(open(root / 'epoch_counter.pkl', 'rb'))}))`,
      folder,
    );
    expect(read.arrays).toMatchObject({
      'train_accuracy_epoch1.npy': ['float64', [], '1.1'],
      '_train-saturation_fc;%22one%22_epoch1.npy': ['float64', [], '0.3333333333333333'],
      '_train-intrinsic-dimensionality_fc;%22one%22_epoch1.npy': ['int64', [], '1'],
      '_train-covariance-log-determinant_fc;%22one%22_epoch1.npy': ['float64', [], '-inf'],
      '_train-covariance-matrix_fc;%22one%22_epoch1.npy': [
        'float64',
        [2, 2],
        '[[4.0, 1e-300], [1e-300, 3.141592653589793]]',
      ],
      '_train-spectrum_fc;%22one%22_epoch1.npy': ['float64', [2], '[4.0, 3.141592653589793]'],
      '_train-embedded-sample_fc;%22one%22_epoch1.npy': ['float64', [2, 2], '[[1.0, 2.0], [3.0, 4.0]]'],
      '_eval-saturation_block%2Flate_epoch1.npy': ['float64', [], 'nan'],
    });
    expect(read.counter.train_accuracy).toBe(1);
    expect(Object.keys(read.counter)).toHaveLength(new Set(Object.keys(read.arrays)).size);
  });

  it.each([0.5, 0.9, 0.97, 0.99, 0.999])(
    'numpy counts the same dimensions in what Delve saved, at %d',
    async (threshold) => {
      const folder = temporaryFolder();
      cpSync(`${delveOutputs}run`, folder, { recursive: true });
      const counted = python<{ paper: Record<string, number[]>; delve: Record<string, number[]> }>(
        `
import pathlib, re
found = {'paper': {}, 'delve': {}}
for path in sorted(pathlib.Path(sys.argv[1]).glob('*covariance-matrix*/*.npy')):
  name = path.parent.name[1:].replace('covariance-matrix', 'intrinsic-dimensionality')
  values = np.clip(np.linalg.eigvalsh(np.load(path))[::-1], 0, None)
  share = np.cumsum(values) / values.sum()
  found['paper'].setdefault(name, []).append(int(np.argmax(share >= float(sys.argv[2]))) + 1)
  found['delve'].setdefault(name, []).append(int((share < float(sys.argv[2])).sum()))
print(json.dumps(found))`,
        folder,
        String(threshold),
      );
      expect(Object.keys(counted.paper)).toHaveLength(4);
      for (const rule of ['paper', 'delve'] as const) {
        const table = await reconstructCsv(folder, { threshold, rule });
        for (const [column, dimensions] of Object.entries(counted[rule])) {
          expect([...table.values(column)]).toEqual(dimensions);
        }
      }
    },
  );
});
