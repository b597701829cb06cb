import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { decodeEpochCounter, decodeNpy, encodeEpochCounter, encodeNpy } from '../../src/stores/npy.js';
import { NpyStore } from '../../src/stores/npy-store.js';
import { epochOf, layer } from '../support/epochs.js';
import { temporaryFolder } from '../support/folders.js';

describe('NpyStore', () => {
  const delveFolder = fileURLToPath(new URL('../fixtures/delve_outputs/run', import.meta.url));

  let folder: string;
  beforeEach(() => {
    folder = temporaryFolder();
  });

  const array = (name: string, epoch: number, run = 'run') =>
    decodeNpy(readFileSync(join(folder, run, name, `${name}_epoch${epoch}.npy`)));
  const filesOf = (run = 'run') =>
    readdirSync(join(folder, run), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();

  it("writes Delve's folders: statistics with a leading _, the user's scalars without", async () => {
    const covariance = Float64Array.of(4, 0, 0, 1);
    const spectrum = Spectrum.of(covariance);
    const embedding = Float64Array.of(1, 2, 3, 4, 5, 6);
    const store = new NpyStore(join(folder, 'run'));
    await store.add(
      epochOf(
        0,
        [layer('fc', 'train', { features: 2, covariance, spectrum, embedding }), layer('fc', 'val')],
        [{ tag: 'train_accuracy', value: 0.5 }],
      ),
    );
    expect(array('train_accuracy', 0)).toEqual({ dtype: 'float64', shape: [], values: Float64Array.of(0.5) });
    expect(array('_train-saturation_fc', 0).values[0]).toBe(0.375);
    expect(array('_eval-intrinsic-dimensionality_fc', 0)).toMatchObject({ dtype: 'int64', shape: [] });
    expect(array('_train-covariance-matrix_fc', 0)).toMatchObject({ shape: [2, 2], values: covariance });
    expect(array('_train-spectrum_fc', 0)).toMatchObject({ shape: [2], values: Float64Array.of(4, 1) });
    expect(array('_train-embedded-sample_fc', 0)).toMatchObject({ shape: [3, 2], values: embedding });
    expect(array('_train-samples_fc', 0).values[0]).toBe(640);
  });

  it("continues a folder that Delve wrote: earlier files untouched, later ones gone, Delve's counter kept true", async () => {
    cpSync(delveFolder, join(folder, 'run'), { recursive: true });
    const store = new NpyStore(join(folder, 'run'));
    await store.resume(2);
    const delve = readdirSync(delveFolder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.name.endsWith('.npy'))
      .map((entry) => entry.name);
    expect(filesOf().filter((name) => name.endsWith('.npy'))).toEqual(
      delve.filter((name) => !name.endsWith('_epoch2.npy')).sort(),
    );
    await store.add(epochOf(2, [layer('fc_one', 'train')]));
    expect(array('_train-saturation_fc_one', 1).values[0]).toBe(0.6);
    expect(array('_train-saturation_fc_one', 2).values[0]).toBe(0.375);
    const counter = decodeEpochCounter(readFileSync(join(folder, 'run/epoch_counter.pkl')))!;
    expect([...counter].slice(0, 2)).toEqual([
      ['train_accuracy', 1],
      ['_train-saturation_fc_one', 2],
    ]);
    expect(counter.get('_eval-saturation_block-0')).toBe(1);
  });

  it('removes what an earlier run left at its first epoch or later, so that no run shows parts of two', async () => {
    const first = new NpyStore(join(folder, 'run'));
    for (const epoch of [0, 1, 2]) await first.add(epochOf(epoch, [layer('fc', 'train')]));
    await new NpyStore(join(folder, 'run')).add(epochOf(0, [layer('fc', 'train')]));
    expect(filesOf().filter((name) => name.includes('saturation'))).toEqual(['_train-saturation_fc_epoch0.npy']);
  });

  it('leaves files alone that are not of its form', async () => {
    await new NpyStore(folder).add(epochOf(0, [layer('fc', 'train')]));
    cpSync(join(delveFolder, '../embed_expected.npy'), join(folder, 'mine_epoch7.npy'));
    await new NpyStore(folder).add(epochOf(0, [layer('fc', 'train')]));
    expect(readdirSync(folder)).toContain('mine_epoch7.npy');
  });

  it.each(['../../out', '/etc/x', 'a/b', 'C:\\x', '..', 'line\nbreak', 'x'.repeat(300)])(
    'keeps layer %o inside its folder',
    async (name) => {
      const store = new NpyStore(join(folder, 'run'));
      await store.add(epochOf(0, [layer(name, 'train')], [{ tag: name, value: 1 }]));
      expect(readdirSync(folder)).toEqual(['run']);
      const entries = readdirSync(join(folder, 'run'), { recursive: true, withFileTypes: true });
      // Five values, each in a folder of its own, and the counter.
      expect(entries.filter((entry) => entry.isDirectory())).toHaveLength(5);
      expect(entries.filter((entry) => entry.isFile())).toHaveLength(6);
    },
  );

  it('saves the last value of a scalar that came several times in an epoch', async () => {
    const store = new NpyStore(join(folder, 'run'));
    const scalars = [1, 2, 3, 4, 5, 6, 7, 8].map((value) => ({ tag: 'lr', value }));
    await store.add(epochOf(0, [layer('fc', 'train')], scalars));
    expect(array('lr', 0).values[0]).toBe(8);
  });

  it('writes a count that is NaN as a float', async () => {
    const values = { intrinsicDimensionality: Number.NaN };
    await new NpyStore(join(folder, 'run')).add(epochOf(0, [layer('fc', 'train', { values })]));
    expect(array('_train-intrinsic-dimensionality_fc', 0)).toMatchObject({ dtype: 'float64' });
    expect(array('_train-intrinsic-dimensionality_fc', 0).values[0]).toBeNaN();
  });

  it('makes no folder before there is something to save', () => {
    new NpyStore(join(folder, 'run'));
    expect(readdirSync(folder)).toEqual([]);
    expect(() => new NpyStore('')).toThrow(TypeError);
  });
});

describe('npy', () => {
  const folder = new URL('../fixtures/delve_outputs/run/', import.meta.url);
  const delveFile = (name: string, epoch: number) => readFileSync(new URL(`${name}/${name}_epoch${epoch}.npy`, folder));

  /** A file written by the format's specification, for types and orders that this library does not write. */
  function npyBytes(descr: string, fortran: boolean, shape: string, values: Uint8Array): Uint8Array {
    const header = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }\n`;
    const prefix = [0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0];
    return Uint8Array.from([...prefix, ...Buffer.from(header), ...values]);
  }

  it("reads Delve's files", () => {
    expect(decodeNpy(delveFile('train_accuracy', 1))).toEqual({
      dtype: 'float64',
      shape: [],
      values: Float64Array.of(0.6),
    });
    expect(decodeNpy(delveFile('_train-intrinsic-dimensionality_fc_one', 0)).dtype).toBe('int64');
    const covariance = decodeNpy(delveFile('_train-covariance-matrix_fc_one', 0));
    expect(covariance.shape).toEqual([5, 5]);
    const trace = [0, 6, 12, 18, 24].reduce((sum, k) => sum + covariance.values[k], 0);
    expect(trace).toBeCloseTo(1.9020044342860876, 15);
  });

  it.each([
    ['_train-covariance-matrix_fc_one', 1],
    ['_eval-intrinsic-dimensionality_block-0', 2],
    ['train_accuracy', 0],
  ] as const)('writes %s byte for byte as numpy did', (name, epoch) => {
    const bytes = delveFile(name, epoch);
    expect(Buffer.from(encodeNpy(decodeNpy(bytes))).equals(bytes)).toBe(true);
  });

  it('keeps every float64, NaN and infinities too', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), (numbers) => {
        const values = Float64Array.from(numbers);
        expect(decodeNpy(encodeNpy({ dtype: 'float64', shape: [values.length], values })).values).toEqual(values);
      }),
    );
  });

  it('reads column-major, big-endian and narrow types', () => {
    const columnMajor = npyBytes('|i1', true, '(2, 3)', Uint8Array.of(1, 4, 2, 5, 3, 6));
    expect(decodeNpy(columnMajor)).toMatchObject({ shape: [2, 3], values: Float64Array.of(1, 2, 3, 4, 5, 6) });
    expect(decodeNpy(npyBytes('>i2', false, '(2,)', Uint8Array.of(1, 0, 255, 255))).values).toEqual(
      Float64Array.of(256, -1),
    );
    const narrow = { dtype: 'float32', shape: [], values: Float64Array.of(0.5) } as const;
    expect(decodeNpy(npyBytes('<f4', false, '()', new Uint8Array(Float32Array.of(0.5).buffer)))).toEqual(narrow);
    expect(decodeNpy(encodeNpy({ ...narrow, shape: [] }))).toEqual(narrow);
  });

  it.each([
    ['something else', Uint8Array.from(Buffer.from('PK\u0003\u0004 not an array')), 'NUMPY'],
    ['a torn file', delveFile('_train-covariance-matrix_fc_one', 0).subarray(0, 200), '72 of 200 bytes'],
    ['a pickled object', npyBytes('|O', false, '()', Uint8Array.of(1)), "'|O'"],
  ])('refuses %s, naming the file', (_, bytes, why) => {
    expect(() => decodeNpy(bytes, 'x.npy')).toThrow(RangeError);
    expect(() => decodeNpy(bytes, 'x.npy')).toThrow(/^x\.npy/);
    expect(() => decodeNpy(bytes, 'x.npy')).toThrow(why);
  });

  it('refuses a shape that does not hold the values', () => {
    expect(() => encodeNpy({ dtype: 'float64', shape: [2, 2], values: new Float64Array(3) })).toThrow(RangeError);
  });
});

const delvePickle = readFileSync(new URL('../fixtures/delve_outputs/run/epoch_counter.pkl', import.meta.url));

describe('the epoch counter', () => {
  it('is read from the pickle that Delve wrote, in its order', () => {
    const counter = decodeEpochCounter(delvePickle)!;
    expect(counter.size).toBe(25);
    expect([...counter.keys()].slice(0, 3)).toEqual([
      'train_accuracy',
      '_train-saturation_fc_one',
      '_train-intrinsic-dimensionality_fc_one',
    ]);
    expect(new Set(counter.values())).toEqual(new Set([2]));
  });

  it('comes back from its own pickle', () => {
    const counter = new Map([
      ['größe', 0],
      ['b', 255],
      ['c', 70_000],
    ]);
    expect(decodeEpochCounter(encodeEpochCounter(counter))).toEqual(counter);
  });

  it.each([
    ['no bytes', new Uint8Array()],
    ['a torn file', delvePickle.subarray(0, 100)],
    ['a pickle that would call a function', Uint8Array.from(Buffer.from("cos\nsystem\n(S'true'\ntR."))],
  ])('is undefined for %s', (_, bytes) => {
    expect(decodeEpochCounter(bytes)).toBeUndefined();
  });
});

describe('decodeNpy refuses before it allocates', () => {
  const file = (dict: string, values = 0, version = 1) => {
    const header = new TextEncoder().encode(`${dict}\n`);
    const start = [0x93, ...new TextEncoder().encode('NUMPY'), version, 0, header.length & 255, header.length >> 8];
    return Uint8Array.from([...start, ...header, ...new Uint8Array(values)]);
  };
  const dict = (shape: string, descr = '<f8') => `{'descr': '${descr}', 'fortran_order': True, 'shape': (${shape}), }`;

  it.each([
    ['a shape whose product is beyond numbers', file(dict('9007199254740993, 1'))],
    ['an infinite length', file(dict(`1${'0'.repeat(400)}, 0`))],
    ['a giant shape', file(dict('100000000000, 2'), 16)],
    ['a product that overflows', file(dict('4294967296, 4294967296'), 16)],
    ['65 axes', file(dict('1, '.repeat(65)), 8)],
    ['fewer values than the shape has', file(dict('3,'), 23)],
    ['more values than the shape has', file(dict('3,'), 25)],
    ['a version that does not exist', file(dict('1,'), 8, 9)],
    ['version 0', file(dict('1,'), 8, 0)],
    ['numbers of another kind', file(dict('1,', '<c8'), 8)],
    ['a header beyond the end', Uint8Array.from([...file(dict('1,')).subarray(0, 8), 255, 255, 0, 0])],
  ])('%s', (_, bytes) => {
    expect(() => decodeNpy(bytes, 'x.npy')).toThrow(RangeError);
    expect(() => decodeNpy(bytes, 'x.npy')).toThrow(/^x\.npy: expected a \.npy file of real numbers, got /);
  });

  it('and any change of a file gives an array of its shape, or a RangeError', () => {
    const bytes = encodeNpy({ dtype: 'float64', shape: [2, 3], values: Float64Array.of(1, 2, 3, 4, 5, 6) });
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, byte, length) => {
        const changed = bytes.slice(0, length < 20 ? length : undefined);
        changed[at] = byte;
        try {
          const { shape, values } = decodeNpy(changed);
          expect(values.length).toBe(shape.reduce((product, axis) => product * axis, 1));
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
