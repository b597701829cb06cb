import { describe, expect, it } from 'vitest';
import { tensorboard } from '../../src/proto/tensorboard.js';
import { type MeshOptions, meshSummaries } from '../../src/summaries/mesh.js';
import type { Numbers } from '../../src/summaries/numbers.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { base64, floatsOf, reference } from '../support/summary-fixtures.js';

const vertices = [
  [0, 0, 0],
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1.5],
];
const faces = [
  [0, 1, 2],
  [0, 2, 3],
];
const colors = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [9, 9, 9],
];
const parts = (options?: MeshOptions) => meshSummaries('shape/a', vertices, options) as PluginSummary[];

describe('meshSummaries', () => {
  it("has TensorBoard's tags and plugin contents", () => {
    const summaries = parts({ colors, faces, config: { camera: { cls: 'PerspectiveCamera' } } });
    const contents = Object.fromEntries(
      summaries.map(({ tagSuffix, content }) => {
        const written = tensorboard.MeshPluginData.decode(content as Uint8Array);
        expect(JSON.parse(written.jsonConfig)).toEqual({ camera: { cls: 'PerspectiveCamera' } });
        return [`shape/a${tagSuffix}`, base64(content)];
      }),
    );
    expect(contents).toEqual(reference.mesh);
  });

  it('stores vertices as float32, faces as int32, colors as uint8, with a batch of one', () => {
    const [v, f, c] = parts({ colors, faces });
    expect([v, f, c].map(({ tensor }) => tensor.dtype)).toEqual([1, 3, 4]);
    expect(v.tensor.tensorShape).toEqual({ dim: [{ size: 1 }, { size: 4 }, { size: 3 }] });
    expect(floatsOf(v.tensor.tensorContent as Uint8Array)).toEqual(vertices.flat());
    expect(Array.from(new Int32Array((f.tensor.tensorContent as Uint8Array).slice().buffer))).toEqual(faces.flat());
    expect(Array.from(c.tensor.tensorContent as Uint8Array)).toEqual(colors.flat());
  });

  it('is one summary for a point cloud', () => {
    const summaries = parts();
    expect(summaries.map(({ tagSuffix }) => tagSuffix)).toEqual(['_VERTEX']);
    expect(tensorboard.MeshPluginData.decode(summaries[0].content as Uint8Array).components).toBe(2);
  });

  it.each([
    ['flat vertices', [1, 2, 3], {}, 'vertices: expected the shape [n, 3] or [batch, n, 3], got [3]'],
    [
      'a face without its vertex',
      vertices,
      { faces: [[0, 1, 4]] },
      'faces: expected whole numbers from 0 to 3, got 4 at position 2',
    ],
    ['fewer colors', vertices, { colors: [[1, 2, 3]] }, 'colors: expected a color for each of 4 vertices, got 1'],
    [
      'colors of 0..1',
      vertices,
      { colors: colors.map(() => [0.5, 1, 0]) },
      'colors: expected whole numbers from 0 to 255, got 0.5',
    ],
    ['another batch', vertices, { faces: [faces, faces] }, 'faces: expected a batch of 1, as of vertices, got 2'],
    ['NaN', [[0, Number.NaN, 0]], {}, 'vertices: expected finite coordinates, got NaN'],
  ])('refuses %s', (_, points, options, message) => {
    expect(() => meshSummaries('m', points as Numbers, options, 'addMesh "m"')).toThrow(RangeError);
    expect(() => meshSummaries('m', points as Numbers, options, 'addMesh "m"')).toThrow(`addMesh "m", ${message}`);
  });
});
