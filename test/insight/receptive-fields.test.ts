import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { borderLayer, inputSizeRange, unproductiveLayers } from '../../src/insight/border.js';
import { type ReceptiveField, receptiveFields } from '../../src/insight/receptive-fields.js';

const { layers } = tf;

/** [min, max] by layer name, for the layers asked for. */
function sizes(fields: readonly ReceptiveField[], ...names: string[]): [number, number][] {
  return names.map((name) => {
    const field = fields.find(({ layer }) => layer === name);
    if (!field) throw new Error(`no layer ${name} in ${fields.map(({ layer }) => layer).join(', ')}`);
    return [field.min, field.max];
  });
}

const conv = (name: string, kernelSize: number | [number, number] = 3, more: object = {}) =>
  layers.conv2d({ name, filters: 1, kernelSize, padding: 'same', ...more } as Parameters<typeof layers.conv2d>[0]);
const pool = (name: string) => layers.maxPooling2d({ name, poolSize: 2 });

/** VGG-16's features: 3x3 convolutions in blocks of 2, 2, 3, 3, 3 with a 2x2 pool behind each. */
function vgg16(side: number): tf.Sequential {
  const model = tf.sequential();
  const blocks = [2, 2, 3, 3, 3];
  let count = 0;
  blocks.forEach((convs, block) => {
    for (let index = 0; index < convs; index++) {
      count++;
      model.add(conv(`conv${count}`, 3, count === 1 ? { inputShape: [side, side, 3] } : {}));
    }
    model.add(pool(`pool${block + 1}`));
  });
  model.add(layers.flatten({ name: 'flatten' }));
  model.add(layers.dense({ name: 'logits', units: 2 }));
  return model;
}

/** ResNet-50 as torchvision has it: bottlenecks of 3, 4, 6, 3 with the stride in the 3x3 convolution. */
function resNet50(): tf.LayersModel {
  const input = tf.input({ shape: [224, 224, 3] });
  let x = conv('stem', 7, { strides: 2 }).apply(input) as tf.SymbolicTensor;
  x = layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }).apply(x) as tf.SymbolicTensor;
  [3, 4, 6, 3].forEach((blocks, stage) => {
    for (let block = 0; block < blocks; block++) {
      const strides = stage > 0 && block === 0 ? 2 : 1;
      const at = `${stage + 1}_${block + 1}`;
      let y = conv(`a${at}`, 1).apply(x) as tf.SymbolicTensor;
      y = conv(`b${at}`, 3, { strides }).apply(y) as tf.SymbolicTensor;
      y = conv(`c${at}`, 1).apply(y) as tf.SymbolicTensor;
      if (block === 0) x = conv(`shortcut${at}`, 1, { strides }).apply(x) as tf.SymbolicTensor;
      x = layers.activation({ activation: 'relu' }).apply(layers.add().apply([x, y])) as tf.SymbolicTensor;
    }
  });
  const output = layers.dense({ units: 2, name: 'logits' }).apply(layers.globalAveragePooling2d({}).apply(x));
  return tf.model({ inputs: input, outputs: output as tf.SymbolicTensor });
}

describe('receptive fields, worked out by hand', () => {
  it('padding and cropping move no place: 7, then 7 + 2 · 2', () => {
    const model = tf.sequential();
    model.add(layers.zeroPadding2d({ padding: [3, 3], inputShape: [224, 224, 3] }));
    model.add(layers.conv2d({ name: 'seven', filters: 1, kernelSize: 7, strides: 2 }));
    model.add(
      layers.cropping2D({
        cropping: [
          [10, 10],
          [10, 10],
        ],
      }),
    );
    model.add(layers.conv2d({ name: 'three', filters: 1, kernelSize: 3 }));
    expect(sizes(receptiveFields(model), 'seven', 'three')).toEqual([
      [7, 7],
      [11, 11],
    ]);
  });

  it('VGG-16: every pool doubles what a 3x3 convolution adds', () => {
    const fields = receptiveFields(vgg16(32));
    // 1+2+2; pool +1, jump 2; +4+4; pool +2, jump 4; +8*3; pool +4, jump 8; +16*3; pool +8, jump 16; +32*3.
    const expected = { conv1: 3, conv2: 5, pool1: 6, conv3: 10, conv4: 14, pool2: 16, conv5: 24, conv6: 32, conv7: 40 };
    const deeper = {
      pool3: 44,
      conv8: 60,
      conv9: 76,
      conv10: 92,
      pool4: 100,
      conv11: 132,
      conv12: 164,
      conv13: 196,
      pool5: 212,
    };
    for (const [name, size] of Object.entries({ ...expected, ...deeper })) {
      expect(sizes(fields, name)[0], name).toEqual([size, size]);
    }
    expect(sizes(fields, 'flatten', 'logits')).toEqual([
      [Infinity, Infinity],
      [Infinity, Infinity],
    ]);
  });

  it('VGG-16 on 32 pixels: what reaches conv7 has seen all 32, so conv7 is the border', () => {
    expect(borderLayer(vgg16(32))).toBe('conv7');
    expect(unproductiveLayers(vgg16(32))).toEqual(['conv7', 'conv8', 'conv9', 'conv10', 'conv11', 'conv12', 'conv13']);
    // conv12 has seen 164 pixels when 165 come in: conv13 still adds. At 164 it does not.
    expect(unproductiveLayers(vgg16(32), 165)).toEqual([]);
    expect(unproductiveLayers(vgg16(32), 164)).toEqual(['conv13']);
    expect(inputSizeRange(vgg16(32))).toEqual({ min: [165, 165], max: [196, 196] });
  });

  it('one path of a residual block skips the convolutions, so min and max part', () => {
    const input = tf.input({ shape: [16, 16, 1] });
    const a = conv('a').apply(input);
    const b = conv('b').apply(a);
    const c = conv('c').apply(b);
    const sum = layers.add({ name: 'sum' }).apply([a, c] as tf.SymbolicTensor[]);
    const d = conv('d').apply(sum) as tf.SymbolicTensor;
    const fields = receptiveFields(tf.model({ inputs: input, outputs: d }));
    // a: 3. Through b and c: 5, 7. The sum holds both 3 and 7; d adds 2 to each.
    expect(sizes(fields, 'a', 'b', 'c', 'sum', 'd')).toEqual([
      [3, 3],
      [5, 5],
      [7, 7],
      [3, 7],
      [5, 9],
    ]);
    // On 4 pixels c gets 5 >= 4 and sees 7 > 4; d gets 3 by the short path, which is less than 4.
    expect(unproductiveLayers(fields, 4)).toEqual(['c']);
  });

  it('ResNet-50: identity paths keep the smallest at the stem, as receptive_field_analysis_toolbox has it', () => {
    const fields = receptiveFields(resNet50());
    // Stem 7, pool 7 + 2 * 2 = 11, jump 4. All 3x3: +2*4*3, +2*4 +2*8*3, +2*8 +2*16*5, +2*16 +2*32*2 on the long path.
    expect(sizes(fields, 'stem', 'b1_3', 'b2_1', 'b2_4', 'b3_6', 'b4_3')).toEqual([
      [7, 7],
      [19, 35],
      [19, 43],
      [27, 91],
      [43, 267],
      [75, 427],
    ]);
    // Behind a stride of 32, a kernel of 3 has more than itself to look at from 4 * 32 pixels on.
    expect(inputSizeRange(resNet50())).toEqual({ min: [128, 128], max: [427, 427] });
    expect(unproductiveLayers(resNet50(), 127)).toEqual(['b4_2', 'b4_3']);
    expect(unproductiveLayers(resNet50(), 128)).toEqual([]);
  });

  it('dilation: kernel 3 at rates 1, 2, 4 reaches 2, 4, 8 further', () => {
    const model = tf.sequential({
      layers: [
        conv('a', 3, { inputShape: [20, 20, 1] }),
        conv('b', 3, { dilationRate: 2 }),
        conv('c', 3, { dilationRate: 4 }),
      ],
    });
    expect(sizes(receptiveFields(model), 'a', 'b', 'c')).toEqual([
      [3, 3],
      [7, 7],
      [15, 15],
    ]);
    expect(borderLayer(model, 7)).toBe('c');
    expect(borderLayer(model, 8)).toBeUndefined();
  });

  it('strides multiply: AlexNet up to its last pool sees 195 pixels', () => {
    const model = tf.sequential({
      layers: [
        conv('c1', 11, { strides: 4, inputShape: [224, 224, 3] }),
        layers.maxPooling2d({ name: 'p1', poolSize: 3, strides: 2 }),
        conv('c2', 5),
        layers.maxPooling2d({ name: 'p2', poolSize: 3, strides: 2 }),
        conv('c3'),
        conv('c4'),
        conv('c5'),
        layers.maxPooling2d({ name: 'p5', poolSize: 3, strides: 2 }),
      ],
    });
    // 11 (jump 4), +2*4 = 19 (8), +4*8 = 51, +2*8 = 67 (16), +2*16 thrice = 99, 131, 163, +2*16 = 195.
    expect(sizes(receptiveFields(model), 'c1', 'p1', 'c2', 'p2', 'c3', 'c4', 'c5', 'p5').map(([size]) => size)).toEqual(
      [11, 19, 51, 67, 99, 131, 163, 195],
    );
    expect(receptiveFields(model).at(-1)!.axes[0]!.stride).toBe(32);
  });

  it('MobileNet blocks: the depthwise convolution grows, the pointwise does not, and batch norm passes on', () => {
    const model = tf.sequential({
      layers: [
        conv('stem', 3, { strides: 2, inputShape: [32, 32, 3] }),
        layers.depthwiseConv2d({ name: 'dw1', kernelSize: 3, padding: 'same' }),
        layers.batchNormalization({ name: 'bn1' }),
        conv('pw1', 1),
        layers.depthwiseConv2d({ name: 'dw2', kernelSize: 3, strides: 2, padding: 'same' }),
        conv('pw2', 1),
        layers.separableConv2d({ name: 'sep', filters: 2, kernelSize: 5, padding: 'same' }),
      ],
    });
    // 3 (jump 2), +4 = 7, 7, 7, +4 = 11 (jump 4), 11, +4*4 = 27.
    expect(
      sizes(receptiveFields(model), 'stem', 'dw1', 'bn1', 'pw1', 'dw2', 'pw2', 'sep').map(([size]) => size),
    ).toEqual([3, 7, 7, 7, 11, 11, 27]);
    // On 8 pixels: dw2 gets 7 only, pw2 and sep get 11. On 7, dw1 covers all of its map (7 / 2 = 3 places), dw2 gets 7.
    expect(unproductiveLayers(model, 8)).toEqual(['pw2', 'sep']);
    expect(unproductiveLayers(model, 7)).toEqual(['dw1', 'dw2', 'pw2', 'sep']);
  });

  it('one dimension: a WaveNet stack of kernel 2 with rates 1, 2, 4, 8 sees 16 samples', () => {
    const model = tf.sequential();
    [1, 2, 4, 8].forEach((dilationRate, index) => {
      const first = index === 0 ? { inputShape: [64, 1] } : {};
      model.add(
        layers.conv1d({
          name: `d${dilationRate}`,
          filters: 1,
          kernelSize: 2,
          padding: 'causal',
          dilationRate,
          ...first,
        }),
      );
    });
    model.add(layers.averagePooling1d({ name: 'pool', poolSize: 4 }));
    model.add(layers.conv1d({ name: 'last', filters: 1, kernelSize: 3 }));
    // 2, 4, 8, 16; the pool adds 3 (jump 4); the last adds 2 * 4.
    expect(sizes(receptiveFields(model), 'd1', 'd2', 'd4', 'd8', 'pool', 'last').map(([size]) => size)).toEqual([
      2, 4, 8, 16, 19, 27,
    ]);
    expect(receptiveFields(model)[0]!.axes).toHaveLength(1);
    // What reaches the last layer has seen 19 steps: at 20 it finds something new.
    expect(inputSizeRange(model)).toEqual({ min: [20], max: [27] });
  });

  it('kernels that are not square: each axis on its own, and the border needs both', () => {
    const model = tf.sequential({
      layers: [conv('a', [3, 5], { inputShape: [9, 9, 1] }), conv('b', [3, 5]), conv('c', [3, 5])],
    });
    const [, , c] = receptiveFields(model);
    expect(c!.axes.map(({ min, minBefore }) => [minBefore, min])).toEqual([
      [5, 7],
      [9, 13],
    ]);
    expect([c!.min, c!.max]).toEqual([7, 13]);
    expect(unproductiveLayers(model, 9)).toEqual([]);
    expect(unproductiveLayers(model, [5, 9])).toEqual(['c']);
    expect(inputSizeRange(model)).toEqual({ min: [6, 10], max: [7, 13] });
  });

  it('an inception module: 1x1, 3x3, 5x5 and pool side by side', () => {
    const input = tf.input({ shape: [28, 28, 1] });
    const stem = conv('stem', 3, { strides: 2 }).apply(input) as tf.SymbolicTensor;
    const module = (x: tf.SymbolicTensor, at: string) =>
      layers
        .concatenate({ name: `cat${at}` })
        .apply([
          conv(`one${at}`, 1).apply(x),
          conv(`three${at}`).apply(conv(`reduce${at}`, 1).apply(x)),
          conv(`five${at}`, 5).apply(x),
          conv(`proj${at}`, 1).apply(
            layers.maxPooling2d({ name: `pool${at}`, poolSize: 3, strides: 1, padding: 'same' }).apply(x),
          ),
        ] as tf.SymbolicTensor[]) as tf.SymbolicTensor;
    const model = tf.model({ inputs: input, outputs: module(module(stem, 'A'), 'B') });
    // Stem 3, jump 2: 1x1 stays, 3x3 and pool +4, 5x5 +8; twice.
    expect(sizes(receptiveFields(model), 'catA', 'catB', 'threeB', 'fiveB', 'projB')).toEqual([
      [3, 11],
      [3, 19],
      [7, 15],
      [11, 19],
      [7, 15],
    ]);
  });

  it('squeeze and excitation: the gate sees everything, the smallest stays that of the map', () => {
    const input = tf.input({ shape: [12, 12, 4] });
    const map = conv('map', 3, { filters: 4 }).apply(input) as tf.SymbolicTensor;
    const squeezed = layers.globalAveragePooling2d({ name: 'squeeze' }).apply(map);
    const gate = layers.dense({ name: 'gate', units: 4, activation: 'sigmoid' }).apply(squeezed);
    const spread = layers.reshape({ name: 'spread', targetShape: [1, 1, 4] }).apply(gate);
    const scaled = layers.multiply({ name: 'scaled' }).apply([map, spread] as tf.SymbolicTensor[]);
    const model = tf.model({ inputs: input, outputs: conv('next').apply(scaled) as tf.SymbolicTensor });
    expect(sizes(receptiveFields(model), 'map', 'squeeze', 'gate', 'scaled', 'next')).toEqual([
      [3, 3],
      [Infinity, Infinity],
      [Infinity, Infinity],
      [3, Infinity],
      [5, Infinity],
    ]);
    expect(inputSizeRange(model)).toEqual({ min: [4, 4], max: [5, 5] });
  });

  it('a U-Net: going up halves the jump again', () => {
    const input = tf.input({ shape: [16, 16, 1] });
    const down = conv('down').apply(input) as tf.SymbolicTensor;
    const bottom = conv('bottom').apply(layers.maxPooling2d({ name: 'pool', poolSize: 2 }).apply(down));
    const up = layers.upSampling2d({ name: 'up', size: [2, 2] }).apply(bottom) as tf.SymbolicTensor;
    const out = conv('out').apply(layers.concatenate({ name: 'cat' }).apply([down, up])) as tf.SymbolicTensor;
    const back = layers
      .conv2dTranspose({ name: 'transposed', filters: 1, kernelSize: 4, strides: 2, padding: 'same' })
      .apply(bottom) as tf.SymbolicTensor;
    const fields = receptiveFields(tf.model({ inputs: input, outputs: [out, back] }));
    // down 3; pool 4 (jump 2); bottom 8; up 8 (jump 1); cat {3, 8}; out +2. Transposed 4/2: two places of `bottom`, 8 + 2.
    expect(sizes(fields, 'down', 'pool', 'bottom', 'up', 'cat', 'out', 'transposed')).toEqual([
      [3, 3],
      [4, 4],
      [8, 8],
      [8, 8],
      [3, 8],
      [5, 10],
      [10, 10],
    ]);
    expect(fields.find(({ layer }) => layer === 'transposed')!.axes[0]!.stride).toBe(1);
  });

  it('three dimensions and a nested model, named by path', () => {
    const inner = tf.sequential({
      name: 'block',
      layers: [
        layers.conv3d({ name: 'a', filters: 1, kernelSize: 3, strides: 2, padding: 'same', inputShape: [8, 8, 8, 1] }),
        layers.conv3d({ name: 'b', filters: 1, kernelSize: [1, 3, 3], padding: 'same' }),
      ],
    });
    const input = tf.input({ shape: [8, 8, 8, 1] });
    const output = layers.conv3d({ name: 'c', filters: 1, kernelSize: 3, padding: 'same' }).apply(inner.apply(input));
    const fields = receptiveFields(tf.model({ inputs: input, outputs: output as tf.SymbolicTensor }));
    expect(fields.map(({ layer, axes }) => [layer, ...axes.map(({ min }) => min)])).toEqual([
      ['block/a', 3, 3, 3],
      ['block/b', 3, 7, 7],
      ['c', 7, 11, 11],
    ]);
  });

  it('a layer that is used twice sees what either use sees', () => {
    const input = tf.input({ shape: [9, 9, 1] });
    const shared = conv('shared');
    const once = shared.apply(input);
    const twice = shared.apply(once) as tf.SymbolicTensor;
    expect(sizes(receptiveFields(tf.model({ inputs: input, outputs: twice })), 'shared')).toEqual([[3, 5]]);
  });

  it('sequences: recurrent layers see all of time; embeddings and dense layers on tokens see one token', () => {
    const model = tf.sequential({
      layers: [
        layers.embedding({ name: 'tokens', inputDim: 10, outputDim: 4, inputLength: 12 }),
        layers.dense({ name: 'mixed', units: 4 }),
        layers.conv1d({ name: 'window', filters: 2, kernelSize: 3 }),
        layers.bidirectional({
          name: 'both',
          layer: layers.lstm({ units: 2, returnSequences: true }) as tf.RNN,
          mergeMode: 'concat',
        }),
        layers.gru({ name: 'last', units: 2 }),
      ],
    });
    expect(sizes(receptiveFields(model), 'tokens', 'mixed', 'window', 'both', 'last').map(([size]) => size)).toEqual([
      1,
      1,
      3,
      Infinity,
      Infinity,
    ]);
  });

  it('an image given as a row of 784 numbers becomes space where it is reshaped', () => {
    const model = tf.sequential({
      layers: [
        layers.reshape({ name: 'image', targetShape: [28, 28, 1], inputShape: [784] }),
        conv('a'),
        pool('p'),
        conv('b'),
      ],
    });
    expect(sizes(receptiveFields(model), 'image', 'a', 'p', 'b').map(([size]) => size)).toEqual([1, 3, 4, 8]);
    // A dense layer mixes all places, for all layers behind it.
    const generator = tf.sequential({
      layers: [
        layers.dense({ name: 'noise', units: 49, inputShape: [8] }),
        layers.reshape({ name: 'map', targetShape: [7, 7, 1] }),
        conv('c'),
      ],
    });
    expect(sizes(receptiveFields(generator), 'noise', 'map', 'c').map(([size]) => size)).toEqual([
      Infinity,
      Infinity,
      Infinity,
    ]);
  });

  it('time-distributed convolutions see one frame each, and time stays its own axis', () => {
    const model = tf.sequential({
      layers: [
        layers.timeDistributed({
          name: 'frames',
          layer: layers.conv2d({ filters: 1, kernelSize: 3 }),
          inputShape: [5, 8, 8, 1],
        }),
        layers.timeDistributed({ name: 'again', layer: layers.conv2d({ filters: 1, kernelSize: 3 }) }),
      ],
    });
    expect(receptiveFields(model).map(({ axes }) => axes.map(({ min }) => min))).toEqual([
      [1, 3, 3],
      [1, 5, 5],
    ]);
  });
});

describe('the border', () => {
  it('a kernel that covers its whole input map acts as a dense layer', () => {
    const model = tf.sequential({
      layers: [conv('a', 3, { inputShape: [8, 8, 1] }), pool('p'), conv('b', 5), conv('c', 5)],
    });
    // 8 pixels, jump 2 behind the pool: a map of 4 under a kernel of 5, although only 4 pixels were seen so far.
    expect(unproductiveLayers(model)).toEqual(['b', 'c']);
    // With 12 pixels the map has 6; b sees 4 + 4 * 2 = 12, so c gets 12 >= 12 and sees 20.
    expect(unproductiveLayers(model, 12)).toEqual(['c']);
    expect(unproductiveLayers(model, 13)).toEqual([]);
  });

  it('channels may come first: the sides are still those of the image', () => {
    const first = { dataFormat: 'channelsFirst', padding: 'same', filters: 2, kernelSize: 3 } as const;
    const model = tf.sequential({
      layers: [
        layers.conv2d({ name: 'a', inputShape: [3, 8, 10], ...first }),
        layers.upSampling2d({ name: 'up', size: [2, 2], dataFormat: 'channelsFirst' }),
        layers.conv2d({ name: 'b', ...first, strides: 2 }),
      ],
    });
    // The windows of `b` begin on even places: three doubled places are two of those before.
    expect(sizes(receptiveFields(model), 'a', 'up', 'b').map(([size]) => size)).toEqual([3, 3, 4]);
    expect(unproductiveLayers(model)).toEqual(unproductiveLayers(model, [8, 10]));
  });

  it('a custom layer works place by place unless its window is given', () => {
    class Blur extends layers.Layer {
      static className = 'BlurForReceptiveFields';
    }
    const model = tf.sequential({
      layers: [conv('a', 3, { inputShape: [8, 8, 1] }), new Blur({ name: 'blur' }), conv('b')],
    });
    expect(sizes(receptiveFields(model), 'blur', 'b').map(([size]) => size)).toEqual([3, 5]);
    const told = receptiveFields(model, {
      window: (layer) => (layer.getClassName() === 'BlurForReceptiveFields' ? { kernelSize: [5] } : undefined),
    });
    expect(sizes(told, 'blur', 'b').map(([size]) => size)).toEqual([7, 9]);
  });

  it('a question that cannot be answered says what was expected', () => {
    expect(() => receptiveFields({} as never)).toThrow(/receptiveFields: expected a tf\.LayersModel.*Object/);
    expect(() => receptiveFields(tf.sequential({ name: 'empty' }))).toThrow(/expected a built model, got 'empty'/);
    const open = tf.sequential({ layers: [conv('a', 3, { inputShape: [null, null, 1] as never })] });
    expect(() => borderLayer(open)).toThrow(/expected an inputSize/);
    expect(() => borderLayer(open, 0)).toThrow(/inputSize to be a number >= 1.*0/);
    const dense = tf.sequential({ layers: [layers.dense({ units: 2, inputShape: [3] })] });
    expect(() => inputSizeRange(dense)).toThrow(/expected a model with convolutions/);
  });
});
