import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inputSizeRange, unproductiveLayers } from '../../src/insight/border.js';
import { receptiveFields } from '../../src/insight/receptive-fields.js';
import { architectures } from '../support/architectures.js';
import { mistaken, mpNet, mpNetPaths } from '../support/mpnets.js';

/** Smallest, largest and largest finite field, each by axis; null for infinite. */
type Fields = (number | null)[][];

const toolbox = JSON.parse(
  readFileSync(new URL('../fixtures/receptive-fields/rfa-toolbox.json', import.meta.url), 'utf8'),
) as { architectures: Record<string, { fields: Fields[]; idle: Record<string, number[]> }> };

describe.each(Object.entries(architectures))('%s, against receptive_field_analysis_toolbox', (name, make) => {
  const model = make();
  const fields = receptiveFields(model);
  const convolutions = fields.filter(({ convolutional }) => convolutional);
  const theirs = toolbox.architectures[name]!;
  const finite = (size: number) => (Number.isFinite(size) ? size : null);

  it('the fields of every convolution', () => {
    expect(
      convolutions.map(({ axes }) => [
        axes.map(({ min }) => finite(min)),
        axes.map(({ max }) => finite(max)),
        axes.map(({ maxFinite }) => finite(maxFinite)),
      ]),
    ).toEqual(theirs.fields);
  });

  it('the idle convolutions at every size', () => {
    for (const [size, idle] of Object.entries(theirs.idle)) {
      // They count the two convolutions of squeeze-and-excitation, which see everything on purpose.
      const expected = idle.filter((index) => theirs.fields[index]![0]![0] !== null);
      const names = expected.map((index) => convolutions[index]!.layer);
      expect(unproductiveLayers(fields, Number(size)), size).toEqual(names);
    }
  });

  it('the range of input sizes', () => {
    const range = inputSizeRange(model);
    const largest = theirs.fields.map(([, , most]) => most![0] ?? 0);
    expect(range.max[0]).toBe(Math.max(...largest));
    expect(unproductiveLayers(fields, range.min[0])).toEqual([]);
    // A 1 x 7 convolution that sees nothing new along one axis may do so along the other: only InceptionV3 has such.
    if (name !== 'InceptionV3') expect(unproductiveLayers(fields, range.min[0]! - 1)).not.toEqual([]);
  });
});

it('numbers that others give: ResNet-18 sees 435 pixels, ResNet-50 427, Keras ResNet-50 483, EfficientNet-B0 851', () => {
  const most = (name: string) => inputSizeRange(architectures[name]!()).max[0];
  expect(['ResNet-18', 'ResNet-50', 'ResNet-50 (Keras)', 'EfficientNet-B0'].map(most)).toEqual([435, 427, 483, 851]);
});

it.each(mpNetPaths)('$network $path, against the notebook of its authors', ({ network, path, labels, fields }) => {
  const byLayer = new Map(receptiveFields(mpNet(network)).map((field) => [field.layer, field]));
  // The wide path is the largest over all paths, the narrow one the smallest.
  const ours = labels.map((label) => byLayer.get(label)![path === 'pathway0' ? 'min' : 'max']);
  if (mistaken.includes(`${network} ${path}`)) expect(ours).not.toEqual(fields);
  else expect(ours).toEqual(fields);
});
