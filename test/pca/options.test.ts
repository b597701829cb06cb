import { describe, expect, it } from 'vitest';
import { type PcaLayerOptions, pcaLayerOptions } from '../../src/pca/pca-layer.js';

describe('pcaLayerOptions', () => {
  it('default to 0.99 of the variance about the mean, the rule of the paper and the width of the input', () => {
    expect(pcaLayerOptions({})).toEqual({
      threshold: 0.99,
      rule: 'paper',
      centering: true,
      keepDim: true,
      downsample: undefined,
    });
  });

  it.each([
    [{ threshold: -1 }, 'threshold'],
    [{ threshold: 99 }, 'threshold'],
    [{ threshold: 0 }, 'threshold'],
    [{ threshold: Number.NaN }, 'threshold'],
    [{ threshold: '.99' }, 'threshold'],
    [{ rule: 'mine' }, 'rule'],
    [{ centering: 1 }, 'centering'],
    [{ keepDim: 'no' }, 'keepDim'],
    [{ downsample: 0 }, 'downsample'],
    [{ downsample: 1.5 }, 'downsample'],
  ])('refuse %o, naming it', (options, name) => {
    expect(() => pcaLayerOptions(options as PcaLayerOptions)).toThrow(`${name}: expected`);
  });
});
