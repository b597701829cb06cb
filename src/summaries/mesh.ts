/** Meshes and point clouds: one tensor each for vertices, faces and colors, under tags that differ in their suffix. */
import { decodeMessage, encodeMessage, tryDecodeMessage } from '../encoding/message-codec.js';
import type { MeshValue, TensorValue } from '../event/event.js';
import { tensorboard } from '../proto/tensorboard.js';
import { type Later, type Numbers, type NumericArray, readNumbers, whenAllRead } from './numbers.js';
import { DataClass, type PluginSummary } from './plugin-summary.js';
import { floatTensor, int32Tensor, uint8Tensor } from './tensor.js';

/** Options of addMesh. */
export interface MeshOptions {
  /** The color of each vertex, RGB in whole numbers 0..255: vertices x 3, or batch x vertices x 3. Default: the viewer's. */
  colors?: Numbers;
  /** Three vertex indices for each triangle: faces x 3, or batch x faces x 3. Default: none, the vertices are a point cloud. */
  faces?: Numbers;
  /**
   * Camera, lights and material of the scene, by three.js class names. Default: the viewer's.
   * See https://github.com/tensorflow/tensorboard/tree/master/tensorboard/plugins/mesh
   */
  config?: object;
}

const MeshPluginData = tensorboard.MeshPluginData;
const { ContentType } = MeshPluginData;

/** The tensors of a mesh: how each is stored, and what it is called when it is read back. */
const partTypes = {
  vertices: { contentType: ContentType.VERTEX, content: 'vertex', tagSuffix: '_VERTEX', dtype: 'float32' },
  faces: { contentType: ContentType.FACE, content: 'face', tagSuffix: '_FACE', dtype: 'int32' },
  colors: { contentType: ContentType.COLOR, content: 'color', tagSuffix: '_COLOR', dtype: 'uint8' },
} as const;

type Part = keyof typeof partTypes;

/** Beside the table, which readers load, too: they load nothing that writes. */
const tensorOf = { float32: floatTensor, int32: int32Tensor, uint8: uint8Tensor };

/**
 * A mesh or point cloud for TensorBoard's mesh dashboard: one summary for its vertices and one each for faces and colors,
 * with the suffixes that TF2 gives them.
 *
 * @param tag the user's tag: every part states it, so that the dashboard finds the parts of a mesh
 * @param vertices x, y, z of each: vertices x 3, or batch x vertices x 3
 * @throws RangeError if a shape or a value is none of these, or the parts do not fit each other
 */
export function meshSummaries(
  tag: string,
  vertices: Numbers,
  options: MeshOptions = {},
  call = 'mesh',
): Later<PluginSummary[]> {
  const given = { vertices, faces: options.faces, colors: options.colors };
  const parts = (Object.keys(given) as Part[]).filter((part) => given[part] !== undefined && given[part] !== null);
  const jsonConfig = JSON.stringify(options.config ?? {});
  return whenAllRead(
    parts.map((part) => readNumbers(given[part] as Numbers, `${call}, ${part}`)),
    (read) => {
      const arrays = read.map((numbers, i) => batchOfTriples(numbers, `${call}, ${parts[i]}`));
      const shapes = Object.fromEntries(parts.map((part, i) => [part, arrays[i].shape]));
      for (const [i, array] of arrays.entries()) checkPart(parts[i], array, shapes.vertices, `${call}, ${parts[i]}`);
      const components = parts.reduce((mask, part) => mask | (1 << partTypes[part].contentType), 0);
      return arrays.map(({ values, shape }, i): PluginSummary => {
        const { contentType, dtype, tagSuffix } = partTypes[parts[i]];
        return {
          plugin: 'mesh',
          content: encodeMessage(MeshPluginData, {
            name: tag,
            contentType,
            jsonConfig,
            shape: [...shape],
            components,
          }),
          dataClass: DataClass.tensor,
          tensor: tensorOf[dtype](values, shape),
          tagSuffix,
        };
      });
    },
  );
}

function batchOfTriples({ values, shape, dtype }: NumericArray, call: string): NumericArray {
  const batched = shape.length === 2 ? [1, ...shape] : shape;
  if (batched.length !== 3 || batched[2] !== 3) {
    throw new RangeError(`${call}: expected the shape [n, 3] or [batch, n, 3], got [${shape.join(', ')}]`);
  }
  return { values, shape: batched, dtype };
}

function checkPart(part: Part, { values, shape }: NumericArray, vertices: readonly number[], call: string): void {
  if (shape[0] !== vertices[0])
    throw new RangeError(`${call}: expected a batch of ${vertices[0]}, as of vertices, got ${shape[0]}`);
  if (part === 'colors' && shape[1] !== vertices[1]) {
    throw new RangeError(`${call}: expected a color for each of ${vertices[1]} vertices, got ${shape[1]}`);
  }
  const limit = part === 'faces' ? vertices[1] - 1 : 255;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const isValid =
      part === 'vertices' ? Number.isFinite(value) : Number.isInteger(value) && value >= 0 && value <= limit;
    if (isValid) continue;
    const expected = part === 'vertices' ? 'finite coordinates' : `whole numbers from 0 to ${limit}`;
    throw new RangeError(`${call}: expected ${expected}, got ${value} at position ${i}`);
  }
}

/**
 * Checks what the metadata of a mesh's tensor holds.
 *
 * @throws RangeError if it does not state a shape: TensorBoard counts samples by it, and would list no mesh of any run
 */
export function checkMesh(content: Uint8Array): void {
  const { shape } = decodeMessage(MeshPluginData, content);
  if (!shape?.length) throw new RangeError('a mesh whose metadata states no shape');
}

/** One tensor of a mesh, with what its metadata says about it. */
export function decodeMesh(tensor: TensorValue, content: Uint8Array): MeshValue | undefined {
  const mesh = tryDecodeMessage(MeshPluginData, content);
  const part = mesh && Object.values(partTypes).find(({ contentType }) => contentType === mesh.contentType);
  if (!mesh || !part) return undefined;
  return {
    ...tensor,
    mesh: mesh.name ?? '',
    content: part.content,
    ...(mesh.jsonConfig ? { config: mesh.jsonConfig } : undefined),
  };
}
