/**
 * Embeddings for TensorBoard's projector. They are not in the event file: vectors, labels and a sheet of small images are
 * files beside it, which an entry of `projector_config.pbtxt` lists.
 */
import { zlib } from '#platform';
import { encodePng, type Pixels } from '../drawing/png.js';
import { concat, utf8Encoder } from '../encoding/bytes.js';
import { crc32c } from '../encoding/crc32c.js';
import { checkAttached, describe } from '../errors.js';
import type { Step } from '../event/event.js';
import type { ImageInput } from './image.js';
import { isEncodedImage } from './image-file.js';
import {
  isShapedArray,
  isTensorLike,
  isTypedArray,
  type Later,
  type Numbers,
  type NumericArray,
  readElements,
  readNumbers,
  type ShapedArray,
  type TensorLike,
  type TypedArray,
  whenAllRead,
  whenRead,
} from './numbers.js';
import { type ImagesLayout, readPixelNumbers, toPixelsBatch } from './pixels.js';
import { type EmbeddingEntry, projectorBlock, quote } from './projector-config.js';

/** Options of addEmbedding. */
export interface EmbeddingOptions {
  /** A label for each vector, or a row of several labels. Default: no labels. */
  metadata?: EmbeddingLabels;
  /** Names of the columns, if metadata has several. Default: label, column 2, column 3 ... */
  metadataHeader?: readonly string[];
  /** A small image for each vector, batch x height x width (x channels), pixels as in addImages. Default: no images. */
  labelImages?: ImageInput;
  /** Order of the axes of `labelImages`. Default: NHW if there are three, else NHWC. */
  layout?: ImagesLayout;
}

/** A label of a vector. Numbers and booleans become their text, which the projector can also color by. */
export type EmbeddingLabel = string | number | bigint | boolean;

/** Labels of an embedding: one for each vector, or a row for each; a tensor of one or two axes may hold texts, too. */
export type EmbeddingLabels =
  | TypedArray
  | readonly EmbeddingLabel[]
  | readonly (TypedArray | readonly EmbeddingLabel[])[]
  | TensorLike
  | ShapedArray;

/** What the projector needs of one embedding. */
export interface ProjectorFiles {
  /** Files beside the event file; paths are relative to the run's folder. */
  readonly files: readonly { readonly path: string; readonly bytes: Later<Uint8Array> }[];
  /** The entry of projector_config.pbtxt. */
  readonly entry: Later<EmbeddingEntry>;
  /** What the user should know of the images. */
  readonly remark?: Later<string | undefined>;
}

/** The projector's documentation names this limit: not all browsers and GPUs accept larger textures. */
const maxSpriteSide = 8192;

/**
 * The projector's files for one embedding.
 *
 * @param vectors count x features, finite
 * @throws TypeError if metadata holds anything but texts, numbers and booleans; RangeError if there are not as many labels or images as vectors,
 * a vector is not finite, or the images' sheet would be too large. Values that come later reject instead
 */
export function embeddingFiles(
  tag: string,
  vectors: Numbers,
  step: Step,
  options: EmbeddingOptions = {},
  call = 'embedding',
): ProjectorFiles {
  const { metadata, metadataHeader, labelImages, layout } = options;
  if (isEncodedImage(labelImages))
    throw new TypeError(`${call}: expected labelImages to be a batch of pixels, got an encoded image`);
  const folder = `${stepText(step)}/${folderName(tag)}`;
  const tensorName = `${tag}:${stepText(step)}`;
  const tensors = `${folder}/tensors.tsv`;
  const lines = [`tensor_name: ${quote(tensorName)}`, `tensor_path: ${quote(tensors)}`];
  const numbers = readNumbers(vectors, call);
  const files = [{ path: tensors, bytes: whenRead(numbers, (read) => encodeVectors(read, call)) }];
  if (metadata !== undefined) {
    const path = `${folder}/metadata.tsv`;
    const text = whenAllRead(
      [numbers, readLabels(metadata, `${call}, metadata`)] as const,
      ([read, rows]: readonly [NumericArray, string[][]]) => encodeLabels(rows, metadataHeader, read.shape[0], call),
    );
    files.push({ path, bytes: text });
    lines.push(`metadata_path: ${quote(path)}`);
  }
  if (labelImages === undefined) return { files, entry: projectorBlock(tensorName, lines) };
  const path = `${folder}/sprite.png`;
  const sprite = whenAllRead(
    [numbers, readPixelNumbers(labelImages, `${call}, labelImages`)] as const,
    ([read, pixels]: readonly [NumericArray, NumericArray]) => {
      const { images, ...size } = toPixelsBatch(pixels, layout, `${call}, labelImages`);
      return { ...size, bytes: encodePng(spriteOf(images, read.shape[0], call), zlib) };
    },
  );
  files.push({ path, bytes: whenRead(sprite, ({ bytes }) => bytes) });
  const entry = whenRead(sprite, ({ width, height }) => {
    const dims = [width, height].map((side) => `  single_image_dim: ${side}`);
    return projectorBlock(tensorName, [...lines, 'sprite {', `  image_path: ${quote(path)}`, ...dims, '}']);
  });
  return { files, entry, remark: whenRead(sprite, ({ remark }) => remark) };
}

/** A step as at least five digits, as tensorboardX and torch write it. */
function stepText(step: Step): string {
  return step < 0 ? `-${String(-step).padStart(5, '0')}` : String(step).padStart(5, '0');
}

/** A tag as a name that no file system reads as a path. If that changes it, a checksum keeps it distinct from others. */
function folderName(tag: string): string {
  const safe = tag.replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 100);
  const isSafe = safe === tag && !/^\.|\.$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(tag) && tag !== '';
  return isSafe
    ? tag
    : `${safe.replace(/\./g, '_')}-${crc32c(utf8Encoder().encode(tag)).toString(16).padStart(8, '0')}`;
}

/**
 * Vectors as tab-separated text, not raw floats: TensorBoard takes raw floats that happen to be valid UTF-8 (0.5, 0.5, ...)
 * for text and answers HTTP 500. Numbers get the digits that float32 distinguishes, because the projector reads float32.
 */
function encodeVectors({ values, shape }: NumericArray, call: string): Uint8Array {
  const [count, features] = shape;
  if (shape.length !== 2 || count < 1 || features < 1) {
    throw new RangeError(`${call}: expected the shape [count, features], got [${shape.join(', ')}]`);
  }
  const blocks: Uint8Array[] = [];
  let text = '';
  for (let row = 0, at = 0; row < count; row++) {
    for (let column = 0; column < features; column++, at++) {
      const value = values[at];
      if (!Number.isFinite(value))
        throw new RangeError(`${call}: expected finite vectors, got ${value} in vector ${row}`);
      text += Number.isInteger(value) ? value : float32Text(value);
      text += column === features - 1 ? '\n' : '\t';
    }
    if (text.length > 1 << 20 || row === count - 1) {
      blocks.push(utf8Encoder().encode(text));
      text = '';
    }
  }
  return concat(blocks);
}

/** A number with 7 digits if they are read back as the same float32, else with 9, which always are. */
function float32Text(value: number): number {
  const float = Math.fround(value);
  const short = Number(float.toPrecision(7));
  return Math.fround(short) === float ? short : Number(float.toPrecision(9));
}

/** Reads labels of any accepted kind as rows of text. */
function readLabels(metadata: EmbeddingLabels, call: string): Later<string[][]> {
  if (isTensorLike(metadata)) {
    const { shape, dtype } = metadata;
    return whenRead(readElements(metadata, call), (data) => shapedLabels(data, shape, dtype, call));
  }
  if (isTypedArray(metadata)) return shapedLabels(metadata, [metadata.length], undefined, call);
  if (Array.isArray(metadata)) {
    return metadata.map((row: unknown, i) => {
      const cells = isTypedArray(row) || Array.isArray(row) ? row : [row];
      return labelTexts(cells, row instanceof Float32Array, `${call} row ${i}`);
    });
  }
  if (isShapedArray(metadata)) return shapedLabels(metadata.data, metadata.shape, undefined, call);
  throw new TypeError(`${call}: expected an array or a tensor of labels, got ${describe(metadata)}`);
}

function shapedLabels(
  data: ArrayLike<unknown>,
  shape: readonly number[],
  dtype: string | undefined,
  call: string,
): string[][] {
  const [count, columns = 1] = shape;
  if (shape.length < 1 || shape.length > 2 || count * columns !== data.length) {
    throw new RangeError(
      `${call}: expected the shape [count] or [count, columns], got [${shape.join(', ')}] with ${data.length} values`,
    );
  }
  const texts = labelTexts(data, dtype === 'float32' || data instanceof Float32Array, call);
  const truths = dtype === 'bool' ? texts.map((text) => String(text !== '0' && text !== 'false')) : texts;
  return Array.from({ length: count }, (_, i) => truths.slice(i * columns, (i + 1) * columns));
}

function labelTexts(cells: ArrayLike<unknown>, isFloat32: boolean, call: string): string[] {
  checkAttached(cells, call);
  return Array.from(cells, (cell) => {
    if (typeof cell === 'string') return cell;
    if (typeof cell === 'number') return String(isFloat32 && !Number.isInteger(cell) ? float32Text(cell) : cell);
    if (typeof cell === 'bigint' || typeof cell === 'boolean') return String(cell);
    throw new TypeError(`${call}: expected texts, numbers or booleans, got ${describe(cell)}`);
  });
}

/** Labels as tab-separated text. The projector takes the first row for names exactly if there are several columns. */
function encodeLabels(
  rows: readonly (readonly string[])[],
  header: readonly string[] | undefined,
  count: number,
  call: string,
): Uint8Array {
  if (rows.length !== count)
    throw new RangeError(`${call}: expected metadata for ${count} vectors, got ${rows.length} rows`);
  const columns = rows[0].length;
  for (const [i, row] of rows.entries()) {
    if (row.length !== columns || columns === 0) {
      throw new RangeError(`${call}: metadata row ${i}: expected ${Math.max(columns, 1)} columns, got ${row.length}`);
    }
  }
  const names = header ?? rows[0].map((_, i) => (i === 0 ? 'label' : `column ${i + 1}`));
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
    throw new TypeError(`${call}: expected metadataHeader to be an array of strings, got ${describe(header)}`);
  }
  if (names.length !== columns) {
    throw new RangeError(`${call}: expected metadataHeader to name ${columns} columns, got ${names.length}`);
  }
  const lines = (columns > 1 ? [names, ...rows] : rows).map(tsvLine);
  return utf8Encoder().encode(lines.join(''));
}

/** The format has no quoting, and the projector skips blank lines, which would shift all labels after them. */
function tsvLine(cells: readonly string[]): string {
  const line = cells.map((cell) => cell.replace(/[\t\n\r\u2028\u2029]/g, ' ')).join('\t');
  const zeroWidthSpace = '\u200b';
  return `${line.trim() === '' ? `${zeroWidthSpace}${line}` : line}\n`;
}

/**
 * Puts all images in rows on the smallest square sheet that holds them. The projector assumes as many rows as columns: with
 * fewer rows some points would be black.
 */
function spriteOf(images: readonly Pixels[], count: number, call: string): Pixels {
  if (images.length !== count)
    throw new RangeError(`${call}: expected labelImages for ${count} vectors, got ${images.length}`);
  const { width, height, channels } = images[0];
  const side = Math.ceil(Math.sqrt(count));
  if (side * width > maxSpriteSide || side * height > maxSpriteSide) {
    throw new RangeError(
      `${call}: expected labelImages whose sheet has at most ${maxSpriteSide} pixels per side, got ${count} of ${width} x ${height}, which need ${side * width} x ${side * height}: use smaller or fewer images`,
    );
  }
  const stride = side * width * channels;
  const data = new Uint8Array(stride * side * height);
  for (const [i, image] of images.entries()) {
    const left = (i % side) * width * channels;
    const top = Math.floor(i / side) * height;
    for (let y = 0; y < height; y++) {
      data.set(image.data.subarray(y * width * channels, (y + 1) * width * channels), (top + y) * stride + left);
    }
  }
  return { width: side * width, height: side * height, channels, data };
}
