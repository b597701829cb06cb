import { describe, expect, it } from 'vitest';
import { crc32c } from '../../src/encoding/crc32c.js';
import { LayerSums } from '../../src/recording/layer-sums.js';
import { decodeState, encodeState, type SavedState } from '../../src/recording/recorder-state.js';
import { CovarianceAccumulator } from '../../src/statistics/covariance.js';
import { Spectrum } from '../../src/statistics/spectrum.js';
import { gaussianRows, uniform } from '../support/random.js';

/** Two layers: one whose rows are folded into moments, one whose rows still wait. */
function savedState(): SavedState {
  const folded = new CovarianceAccumulator(3);
  folded.update(gaussianRows(900, [1, 2, 0.5], 3, 7));
  folded.covariance();
  folded.update(Float64Array.of(1, Number.NaN, 2, 4, 5, 6));
  const waiting = new CovarianceAccumulator(5);
  waiting.update(Float32Array.from(gaussianRows(4, [1, 1, 1, 1, 1], 4)));
  const common = { passes: 4, items: 300 };
  return {
    epoch: 2,
    layers: [
      {
        split: 'train',
        layer: 'dense',
        ...common,
        rows: 902,
        effectiveRows: 802.5,
        sums: new LayerSums({ accumulator: folded }),
      },
      {
        split: 'val',
        layer: 'dense',
        ...common,
        rows: 4,
        effectiveRows: 4,
        sums: new LayerSums({ accumulator: waiting }),
      },
    ],
  };
}

const bytes = encodeState(savedState());
const text = new TextDecoder('latin1').decode(bytes);
/** Bytes with the checksum that fits their line of JSON, as one who forges them would make. */
const sealed = (changed: Uint8Array) => {
  const start = changed.indexOf(10) + 1;
  const checksum = crc32c(changed.subarray(start, changed.indexOf(10, start)));
  const result = changed.slice();
  result.set(new TextEncoder().encode(`delve-tracker/2 ${checksum.toString(16).padStart(8, '0')}\n`));
  return result;
};
/** The bytes with a part of the line of JSON replaced. */
const withText = (from: string | RegExp, to: string) => {
  const changed = text.replace(from, to);
  expect(changed).not.toBe(text);
  return sealed(Uint8Array.from(changed, (char) => char.charCodeAt(0)));
};
/** Where the accumulators begin. */
const bodies = bytes.indexOf(10, bytes.indexOf(10) + 1) + 1;
/** The bytes with a float64 of the first accumulator replaced. */
const withNumber = (at: number, value: number) => {
  const changed = bytes.slice();
  new DataView(changed.buffer).setFloat64(bodies + at, value, true);
  return changed;
};
const header = 48;
const scatter = header + 2 * 3 * 8;

describe('the state of a tracker in the middle of an epoch', () => {
  it('comes back as it was', () => {
    const { epoch, layers } = decodeState(bytes);
    expect(epoch).toBe(2);
    expect(layers.map(({ sums, ...rest }) => ({ ...rest, count: sums.accumulator!.count }))).toEqual([
      { split: 'train', layer: 'dense', passes: 4, items: 300, rows: 902, effectiveRows: 802.5, count: 901 },
      { split: 'val', layer: 'dense', passes: 4, items: 300, rows: 4, effectiveRows: 4, count: 4 },
    ]);
    const [restored, saved] = [layers, savedState().layers].map(([{ sums }]) => sums.accumulator!);
    expect(restored.covariance()).toEqual(saved.covariance());
    expect(restored.rejected).toBe(1);
  });

  it('is read from bytes of version 1, which had accumulators only', () => {
    const { epoch, layers } = savedState();
    const bodies = layers.map(({ sums }) => sums.accumulator!.toBytes());
    const entries = layers.map(({ sums, ...entry }, i) => ({ ...entry, bytes: bodies[i].length }));
    const head = `delve-tracker/1\n${JSON.stringify({ epoch, entries })}\n`;
    expect(encodeState(decodeState(Uint8Array.from(Buffer.concat([Buffer.from(head), ...bodies]))))).toEqual(bytes);
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    ['its line was damaged', () => Uint8Array.from(bytes, (byte, at) => (at === 40 ? byte ^ 1 : byte)), /damaged/],
    ['a part is unknown', () => withText('"accumulator"', '"akkumulator"'), /lengths of parts of layer 'dense'/],
    ['there is no part', () => withText(/"bytes":\{[^}]*\}/, '"bytes":{}'), /lengths of parts of layer 'dense'/],
    ['it is of a later version', () => Uint8Array.from(Buffer.from(text.replace('/2', '/3'))), /start otherwise/],
    ['the epoch is a text', () => withText('"epoch":2', '"epoch":"x"'), /the epoch .*got the string "x"/],
    ['the epoch is negative', () => withText('"epoch":2', '"epoch":-1'), /the epoch .*number -1/],
    ['the epoch is a fraction', () => withText('"epoch":2', '"epoch":0.5'), /the epoch .*number 0.5/],
    ['the epoch is missing', () => withText('"epoch":2,', ''), /the epoch .*undefined/],
    ['the split is unknown', () => withText('"split":"val"', '"split":"test"'), /train or val, got the string "test"/],
    ['there is no layer', () => withText('"layer":"dense"', '"layer":7'), /name of a layer, got number 7/],
    ['an entry is null', () => withText('"entries":[', '"entries":[null,'), /name of a layer, got undefined/],
    ['there is no list', () => withText(/\{.*\}/, 'null'), /a list of layers, got none/],
    ['the list is none', () => withText(/"entries":\[.*\]/, '"entries":{"length":1e9}'), /a list of layers, got none/],
    ['a layer comes twice', () => withText('"split":"val"', '"split":"train"'), /'dense' \(train\) once, got it again/],
    ['batches are a fraction', () => withText('"passes":4', '"passes":0.5'), /passes of layer 'dense'.*0.5/],
    ['items are beyond counting', () => withText('"items":300', '"items":1e308'), /items of layer 'dense'.*1e\+308/],
    ['items are negative', () => withText('"items":300', '"items":-3'), /items of layer 'dense'.*-3/],
    ['rows are fewer than were used', () => withText('"rows":902', '"rows":9'), /901 rows or more .*got 9/],
    ['rows are worth more than they are', () => withText('802.5', '80250'), /worth 80250/],
    ['rows are worth a negative number', () => withText('802.5', '-1'), /effectiveRows >= 0/],
    ['the length is negative', () => withText(/"accumulator":\d+/, '"accumulator":-40'), /bytes of layer 'dense'.*-40/],
    [
      'the length is a fraction',
      () => withText(/"accumulator":\d+/, '"accumulator":40.5'),
      /bytes of layer 'dense'.*40.5/,
    ],
    [
      'the length is beyond the end',
      () => withText(/"accumulator":\d+/, '"accumulator":1e15'),
      /up to the end of layer 'dense'/,
    ],
    ['bytes follow', () => Uint8Array.of(...bytes, 0), /expected \d+ bytes, got \d+/],
    ['bytes are missing', () => bytes.subarray(0, -1), /up to the end of layer/],
    ['features are NaN', () => withNumber(8, Number.NaN), /the number of features .*got NaN/],
    ['features are beyond memory', () => withNumber(8, 2 ** 40), /undamaged bytes/],
    ['features are a fraction', () => withNumber(8, 2.5), /the number of features .*got 2.5/],
    ['rejected rows are negative', () => withNumber(16, -1), /the number of rejected rows .*got -1/],
    ['rows are half a row', () => withNumber(24, 0.5), /the number of folded rows .*got 0.5/],
    ['rows are beyond counting', () => withNumber(24, 1e308), /the number of folded rows .*got 1e\+308/],
    ['rows are negative', () => withNumber(24, -900), /the number of folded rows .*got -900/],
    ['a mean is NaN', () => withNumber(header, Number.NaN), /means that are numbers/],
    ['a variance is negative', () => withNumber(scatter + 2 * 8, -1), /variances >= 0, got -1 of feature 1/],
    ['a variance is NaN', () => withNumber(scatter, Number.NaN), /variances >= 0, got NaN of feature 0/],
    ['a covariance is NaN', () => withNumber(scatter + 8, Number.NaN), /a covariance that .* got NaN of 1 and 0/],
    ['a covariance is too large', () => withNumber(scatter + 3 * 8, 1e5), /a covariance that .* of 2 and 0/],
    ['a waiting row is infinite', () => withNumber(scatter + 6 * 8, Infinity), /finite rows/],
  ])('is refused by what is wrong if %s', (_, make, message) => {
    const changed = make();
    expect(() => decodeState(changed)).toThrow(RangeError);
    expect(() => decodeState(changed)).toThrow(message);
  });

  it('is refused or something that rows can give, however its bytes are changed', () => {
    const random = uniform(5);
    const below = (count: number) => Math.floor(random() * count);
    const pieces = ['-', '1e308', '0.5', '"x"', 'null', '[]', '{}', '9', ',', 'e', '\n', '1e15', '"val"', '"train"'];
    let accepted = 0;
    for (let round = 0; round < 20_000; round++) {
      let list = [...bytes];
      for (let changes = 1 + below(3); changes > 0; changes--) {
        const at = random() < 0.5 ? below(bodies) : below(list.length);
        const kind = below(5);
        if (kind === 0) list[at] ^= 1 << below(8);
        else if (kind === 1) list[at] = below(256);
        else if (kind === 2) list.splice(at, 1 + below(9));
        else if (kind === 3) list.splice(at, below(4), ...Buffer.from(pieces[below(pieces.length)]));
        else list = list.slice(0, Math.max(at, 20));
      }
      let state: SavedState;
      try {
        // Half of them as one who forges bytes would make them.
        const changed = Uint8Array.from(list);
        state = decodeState(round % 2 === 0 || list.length < 30 ? changed : sealed(changed));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        continue;
      }
      accepted++;
      expect(Number.isSafeInteger(state.epoch) && state.epoch >= 0).toBe(true);
      expect(decodeState(encodeState(state)).layers.length).toBe(state.layers.length);
      for (const { sums, items, passes, split } of state.layers) {
        const accumulator = sums.accumulator!;
        expect(['train', 'val']).toContain(split);
        for (const count of [accumulator.count, accumulator.rejected, items, passes]) {
          if (!(Number.isSafeInteger(count) && count >= 0)) throw new Error(`a count of ${count}`);
        }
        if (accumulator.count === 0 || accumulator.variances().some((variance) => variance > 1e100)) continue;
        const { eigenvalues, trace } = Spectrum.of(accumulator);
        if (!(trace >= 0) || eigenvalues.some((value) => !(value >= 0)))
          throw new Error(`a spectrum of ${eigenvalues}`);
      }
    }
    // Changed digits of means and rows are numbers, too.
    expect(accepted).toBeGreaterThan(200);
    expect(accepted).toBeLessThan(15_000);
  });
});
