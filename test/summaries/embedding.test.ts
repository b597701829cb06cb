import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { safePath } from '../../src/output/output.js';
import { type EmbeddingOptions, embeddingFiles } from '../../src/summaries/embedding.js';
import type { Numbers } from '../../src/summaries/numbers.js';
import {
  addToProjectorConfig,
  type EmbeddingEntry,
  readProjectorConfig,
} from '../../src/summaries/projector-config.js';

const vectors = [
  [1, 2.5, -3e-7],
  [0.1, 1e20, 0],
];

function filesOf(tag: string, data: Numbers, options?: EmbeddingOptions, step: number | bigint = 1) {
  const { files, entry } = embeddingFiles(tag, data, step, options);
  return {
    files: Object.fromEntries(files.map(({ path, bytes }) => [path, Buffer.from(bytes as Uint8Array)])),
    entry: entry as EmbeddingEntry,
  };
}
const metadataOf = (options: EmbeddingOptions, count = 2) =>
  String(
    filesOf(
      'e',
      Array.from({ length: count }, () => [1]),
      options,
    ).files['00001/e/metadata.tsv'],
  );

describe('embeddingFiles', () => {
  it('writes vectors as tab-separated text', () => {
    const { files, entry } = filesOf('words', vectors);
    expect(Object.keys(files)).toEqual(['00001/words/tensors.tsv']);
    expect(String(files['00001/words/tensors.tsv'])).toBe('1\t2.5\t-3e-7\n0.1\t100000000000000000000\t0\n');
    expect(entry).toEqual({
      tensorName: 'words:00001',
      config: 'embeddings {\n  tensor_name: "words:00001"\n  tensor_path: "00001/words/tensors.tsv"\n}\n',
    });
  });

  it('writes every float32 so that it is read back exactly', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), (row) => {
        const text = String(filesOf('e', [Float32Array.from(row)]).files['00001/e/tensors.tsv']);
        expect(
          text
            .trimEnd()
            .split('\t')
            .map((value) => Math.fround(Number(value))),
        ).toEqual(row.map((value) => value + 0));
      }),
    );
  });

  it('names a single column of labels nowhere, and several in a first row', () => {
    expect(metadataOf({ metadata: ['a', 'b'] })).toBe('a\nb\n');
    expect(metadataOf({ metadata: [['a'], ['b']] })).toBe('a\nb\n');
    expect(
      metadataOf({
        metadata: [
          ['a', '1'],
          ['b', '2'],
        ],
      }),
    ).toBe('label\tcolumn 2\na\t1\nb\t2\n');
    expect(
      metadataOf({
        metadata: [
          ['a', '1'],
          ['b', '2'],
        ],
        metadataHeader: ['name', 'id'],
      }),
    ).toBe('name\tid\na\t1\nb\t2\n');
  });

  it('takes numbers, booleans, typed arrays and tensors for labels, in one column and in several', () => {
    expect(metadataOf({ metadata: [7, 'a'] })).toBe('7\na\n');
    expect(metadataOf({ metadata: [true, 2n ** 60n] })).toBe('true\n1152921504606846976\n');
    expect(metadataOf({ metadata: Uint8Array.of(3, 0) })).toBe('3\n0\n');
    expect(metadataOf({ metadata: Float32Array.of(0.1, 2) })).toBe('0.1\n2\n');
    expect(metadataOf({ metadata: tf.tensor1d([4, 5], 'int32') })).toBe('4\n5\n');
    expect(metadataOf({ metadata: tf.tensor1d([true, false]) })).toBe('true\nfalse\n');
    expect(metadataOf({ metadata: tf.tensor1d(['cat', 'dög']) })).toBe('cat\ndög\n');
    const pairs = 'label\tcolumn 2\n1\t2\n3\t4\n';
    expect(metadataOf({ metadata: tf.tensor2d([[1, 2], [3, 4]]) })).toBe(pairs); // biome-ignore format: one line
    expect(metadataOf({ metadata: { data: [1, 2, 3, 4], shape: [2, 2] } })).toBe(pairs);
    expect(metadataOf({ metadata: [Int32Array.of(1, 2), ['3', 4]] })).toBe(pairs);
    expect(metadataOf({ metadata: tf.tensor2d(['a', 'b'], [2, 1]), metadataHeader: ['name'] })).toBe('a\nb\n');
  });

  it('keeps labels as they were at the call if the vectors come later', async () => {
    const metadata = ['a', 'b'];
    const late = { shape: [2, 1], data: async () => [1, 2] };
    const { files } = embeddingFiles('e', late, 0, { metadata });
    metadata[1] = 'changed';
    expect(String(Buffer.from(await files[1].bytes))).toBe('a\nb\n');
  });

  it('waits for labels that come later', async () => {
    const { files } = embeddingFiles('e', vectors, 0, { metadata: { shape: [2], data: async () => [1, 2] } });
    expect(String(Buffer.from(await files[1].bytes))).toBe('1\n2\n');
  });

  it('takes images with channels first if it is told so', () => {
    const planes = { data: Uint8Array.from({ length: 2 * 3 * 4 }, (_, i) => 10 * i), shape: [2, 3, 2, 2] };
    const { files } = filesOf('e', vectors, { labelImages: planes, layout: 'NCHW' });
    const { data } = PNG.sync.read(files['00001/e/sprite.png']);
    expect(Array.from(data.subarray(0, 3))).toEqual([0, 40, 80]);
    expect(Array.from(data.subarray(8, 11))).toEqual([120, 160, 200]);
  });

  it('keeps one line for each label, whatever is in it', () => {
    const label = fc.oneof(fc.string(), fc.constantFrom('', ' ', '\n', 'a\tb', '\r\n', '\u2028'));
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 20 }), (metadata) => {
        const lines = metadataOf({ metadata }, metadata.length).split(/\r\n|\r|\n/);
        expect(lines.length).toBe(metadata.length + 1);
        expect(lines.slice(0, -1).every((line) => line.trim() !== '' && !line.includes('\t'))).toBe(true);
      }),
    );
  });

  it('puts images into a sprite row by row, on a square sheet, as the projector takes for granted', () => {
    const labelImages = {
      data: Uint8Array.from({ length: 5 * 2 * 3 }, (_, i) => Math.floor(i / 6) * 10),
      shape: [5, 2, 3],
    };
    const { files, entry } = filesOf(
      'e',
      Array.from({ length: 5 }, () => [1, 2]),
      { labelImages },
    );
    const sprite = PNG.sync.read(files['00001/e/sprite.png']);
    expect([sprite.width, sprite.height]).toEqual([9, 6]);
    const at = (x: number, y: number) => sprite.data[4 * (y * 9 + x)];
    expect([at(0, 0), at(3, 1), at(8, 0), at(0, 2), at(5, 3), at(6, 3)]).toEqual([0, 10, 20, 30, 40, 0]);
    expect(entry.config).toContain('image_path: "00001/e/sprite.png"');
    expect(entry.config).toMatch(/single_image_dim: 3\n\s+single_image_dim: 2\n/);
  });

  it.each([
    ['wor/ds', '00001/wor_ds-'],
    ['../../etc', '00001/______etc-'],
    ['.', '00001/_-'],
    ['a\u0000b', '00001/a_b-'],
    ['C:\\x', '00001/C__x-'],
    ['con', '00001/con-'],
    ['ä', '00001/_-'],
  ])('keeps the files of the tag %j below the run', (tag, start) => {
    const [path] = Object.keys(filesOf(tag, vectors).files);
    expect(path.startsWith(start)).toBe(true);
    expect(path).toMatch(/^00001\/[\w-]+-[0-9a-f]{8}\/tensors\.tsv$/);
  });

  it('never names a folder that a file system would read otherwise, and tells tags apart', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (a, b) => {
        const [pathOfA, pathOfB] = [a, b].map((tag) => Object.keys(filesOf(tag, vectors).files)[0]);
        expect(safePath(pathOfA)).toBe(pathOfA);
        expect(pathOfA.split('/').length).toBe(3);
        expect(pathOfA === pathOfB).toBe(a === b);
      }),
    );
  });

  it('pads steps to five digits, whatever their size', () => {
    const pathOf = (step: number | bigint) => Object.keys(filesOf('e', vectors, {}, step).files)[0].split('/')[0];
    expect([0, 123456, -7, 2n ** 62n].map(pathOf)).toEqual(['00000', '123456', '-00007', '4611686018427387904']);
  });

  it('waits for vectors and images that come later', async () => {
    const late = (shape: number[]) => ({
      shape,
      dtype: 'float32',
      data: async () => new Float32Array(shape.reduce((a, b) => a * b)),
    });
    const { files, entry } = embeddingFiles('e', late([4, 2]), 0, {
      labelImages: late([4, 3, 3]),
      metadata: ['a', 'b', 'c', 'd'],
    });
    const bytes = await Promise.all(files.map((file) => file.bytes));
    expect(PNG.sync.read(Buffer.from(bytes[2])).width).toBe(6);
    expect((await entry).config).toContain('single_image_dim: 3');
  });

  it.each([
    ['a vector', [1, 2], {}, 'expected the shape [count, features], got [2]'],
    ['no vectors', { data: [], shape: [0, 3] }, {}, 'expected the shape [count, features]'],
    ['NaN', [[1], [Number.NaN]], {}, 'expected finite vectors, got NaN in vector 1'],
    ['fewer labels', vectors, { metadata: ['a'] }, 'expected metadata for 2 vectors, got 1 rows'],
    [
      'rows of different lengths',
      vectors,
      { metadata: [['a', 'b'], ['c']] },
      'metadata row 1: expected 2 columns, got 1',
    ],
    [
      'labels that are no texts',
      vectors,
      { metadata: ['a', null] },
      'metadata row 1: expected texts, numbers or booleans, got null',
    ],
    [
      'no array of labels',
      vectors,
      { metadata: 'ab' },
      'metadata: expected an array or a tensor of labels, got the string',
    ],
    [
      'labels of three axes',
      vectors,
      { metadata: { data: [1, 2], shape: [2, 1, 1] } },
      'expected the shape [count] or [count, columns], got [2, 1, 1] with 2 values',
    ],
    [
      'a header that is a text',
      vectors,
      { metadata: ['a', 'b'], metadataHeader: 'x' },
      'metadataHeader to be an array',
    ],
    [
      'images with channels first that it was not told of',
      vectors,
      { labelImages: { data: new Uint8Array(2 * 3 * 8 * 8), shape: [2, 3, 8, 8] } },
      "layout: 'NCHW'",
    ],
    [
      'another header',
      vectors,
      { metadata: ['a', 'b'], metadataHeader: ['x', 'y'] },
      'expected metadataHeader to name 1 columns, got 2',
    ],
    [
      'fewer images',
      vectors,
      { labelImages: { data: new Uint8Array(4), shape: [1, 2, 2] } },
      'expected labelImages for 2 vectors, got 1',
    ],
    [
      'too large a sprite',
      vectors,
      { labelImages: { data: new Uint8Array(2 * 5000), shape: [2, 1, 5000] } },
      'got 2 of 5000 x 1, which need 10000 x 2',
    ],
  ])('refuses %s', (_, data, options, message) => {
    const call = () => embeddingFiles('e', data as Numbers, 0, options as EmbeddingOptions, 'addEmbedding "e"');
    expect(call).toThrow(message);
    expect(call).toThrow(/^addEmbedding "e"/);
  });
});

describe('addToProjectorConfig', () => {
  const entry = (name: string, path = 'p') => ({
    tensorName: name,
    config: `embeddings {\n  tensor_name: "${name}"\n  tensor_path: "${path}"\n}\n`,
  });

  it('appends, and replaces an embedding of the same name', () => {
    const both = addToProjectorConfig(addToProjectorConfig('', entry('a:1')), entry('b:1'));
    expect(both).toBe(entry('a:1').config + entry('b:1').config);
    expect(addToProjectorConfig(both, entry('a:1', 'new'))).toBe(entry('b:1').config + entry('a:1', 'new').config);
  });

  it('keeps what another program has written', () => {
    const theirs = 'model_checkpoint_path: "x"\nembeddings {\ntensor_name: "emb:00001"\n}';
    expect(addToProjectorConfig(theirs, entry('a:1'))).toBe(`${theirs}\n${entry('a:1').config}`);
  });

  it('escapes what the text format needs escaped', () => {
    const { entry: odd } = filesOf('a"b\\c\nd', vectors);
    expect(odd.config).toContain('tensor_name: "a\\"b\\\\c\\012d:00001"');
  });
});

describe('readProjectorConfig', () => {
  // What protobuf 7.36 reads of the same text: google.protobuf.text_format.Parse into a ProjectorConfig.
  it('reads what people write by hand: lists, brackets, texts in parts, escapes', () => {
    const config = String.raw`# by hand
model_checkpoint_path: "x"
embeddings: [
  < tensor_name: 'a\x41\101' "b" 'c', tensor_shape: [ 10, 3 ]; tensor_path: "dir/v.tsv" >,
  { tensor_name: "two" sprite: { image_path: "s.png" single_image_dim: [4, 4] } metadata_path: "m.tsv" }
]
embeddings { tensor_name: "\303\274\t" tensor_shape: 2 tensor_shape: 5 bookmarks_path: "b" }
`;
    expect(readProjectorConfig(config)).toEqual([
      { tensorName: 'aAAbc', tensorShape: [10, 3], tensorPath: 'dir/v.tsv' },
      { tensorName: 'two', tensorShape: [], metadataPath: 'm.tsv', spritePath: 's.png' },
      { tensorName: 'ü\t', tensorShape: [2, 5] },
    ]);
  });

  it('reads what addToProjectorConfig writes, whatever the name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const { entry } = filesOf(name, vectors);
        expect(readProjectorConfig(entry.config)).toMatchObject([{ tensorName: entry.tensorName }]);
      }),
    );
  });
});
