import * as tf from '@tensorflow/tfjs';

/*
 * Well-known architectures, written from their papers, with one filter per convolution: what decides a receptive field is
 * kernels, strides and connections. Paddings are 'same' throughout.
 */

type Map = tf.SymbolicTensor;
const { layers } = tf;

const then = (layer: { apply(x: Map | Map[]): unknown }, x: Map | Map[]) => layer.apply(x) as Map;
const conv = (x: Map, kernelSize: number | [number, number], strides = 1) =>
  then(layers.conv2d({ filters: 1, kernelSize, strides, padding: 'same', activation: 'relu' }), x);
const depthwise = (x: Map, kernelSize: number, strides = 1) =>
  then(layers.depthwiseConv2d({ kernelSize, strides, padding: 'same' }), x);
const maxPool = (x: Map, poolSize: number, strides: number) =>
  then(layers.maxPooling2d({ poolSize, strides, padding: 'same' }), x);
const averagePool = (x: Map, poolSize: number, strides: number) =>
  then(layers.averagePooling2d({ poolSize, strides, padding: 'same' }), x);
const add = (...maps: Map[]) => then(layers.add(), maps);
const concatenate = (...maps: Map[]) => then(layers.concatenate(), maps);

function network(side: number, body: (x: Map) => Map): tf.LayersModel {
  const input = tf.input({ shape: [side, side, 3] });
  const pooled = then(layers.globalAveragePooling2d({}), body(input));
  return tf.model({ inputs: input, outputs: then(layers.dense({ units: 2 }), pooled) });
}

/** https://arxiv.org/abs/1409.1556 */
const vgg = (blocks: readonly number[]) => () =>
  network(224, (x) => {
    let y = x;
    for (const count of blocks) {
      for (let index = 0; index < count; index++) y = conv(y, 3);
      y = maxPool(y, 2, 2);
    }
    return y;
  });

/** https://arxiv.org/abs/1512.03385. `strided`: which convolution of a bottleneck has the stride; torchvision 1, Keras 0. */
const resNet =
  (stages: readonly number[], bottleneck: boolean, strided = 1) =>
  () =>
    network(224, (x) => {
      let y = maxPool(conv(x, 7, 2), 3, 2);
      stages.forEach((blocks, stage) => {
        for (let block = 0; block < blocks; block++) {
          const strides = stage > 0 && block === 0 ? 2 : 1;
          const kernels = bottleneck ? [1, 3, 1] : [3, 3];
          const at = bottleneck ? strided : 0;
          const long = kernels.reduce((z, kernel, index) => conv(z, kernel, index === at ? strides : 1), y);
          const projects = block === 0 && (stage > 0 || bottleneck);
          y = add(long, projects ? conv(y, 1, strides) : y);
        }
      });
      return y;
    });

/** https://arxiv.org/abs/1704.04861 */
const mobileNet = () =>
  network(224, (x) => {
    let y = conv(x, 3, 2);
    for (const strides of [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]) y = conv(depthwise(y, 3, strides), 1);
    return y;
  });

/** https://arxiv.org/abs/1801.04381: expansion, repeats and stride of each stage. */
const mobileNetV2 = () =>
  network(224, (x) => {
    let y = conv(x, 3, 2);
    const stages = [
      [1, 1, 1],
      [6, 2, 2],
      [6, 3, 2],
      [6, 4, 2],
      [6, 3, 1],
      [6, 3, 2],
      [6, 1, 1],
    ] as const;
    for (const [expansion, repeats, stride] of stages) {
      for (let repeat = 0; repeat < repeats; repeat++) {
        const expanded = expansion === 1 ? y : conv(y, 1);
        const projected = conv(depthwise(expanded, 3, repeat === 0 ? stride : 1), 1);
        y = repeat === 0 ? projected : add(y, projected);
      }
    }
    return conv(y, 1);
  });

/** https://arxiv.org/abs/1905.11946: B0, with squeeze-and-excitation. Expansion, repeats, stride and kernel of each stage. */
const efficientNetB0 = () =>
  network(224, (x) => {
    let y = conv(x, 3, 2);
    const stages = [
      [1, 1, 1, 3],
      [6, 2, 2, 3],
      [6, 2, 2, 5],
      [6, 3, 2, 3],
      [6, 3, 1, 5],
      [6, 4, 2, 5],
      [6, 1, 1, 3],
    ] as const;
    for (const [expansion, repeats, stride, kernel] of stages) {
      for (let repeat = 0; repeat < repeats; repeat++) {
        const expanded = expansion === 1 ? y : conv(y, 1);
        const wide = depthwise(expanded, kernel, repeat === 0 ? stride : 1);
        const squeezed = then(layers.globalAveragePooling2d({}), wide);
        const channels = wide.shape[3]!;
        const gate = conv(conv(then(layers.reshape({ targetShape: [1, 1, channels] }), squeezed), 1), 1);
        const projected = conv(then(layers.multiply(), [wide, gate]), 1);
        y = repeat === 0 ? projected : add(y, projected);
      }
    }
    return conv(y, 1);
  });

/** https://arxiv.org/abs/1608.06993 */
const denseNet121 = () =>
  network(224, (x) => {
    let y = maxPool(conv(x, 7, 2), 3, 2);
    [6, 12, 24, 16].forEach((count, block) => {
      for (let index = 0; index < count; index++) y = concatenate(y, conv(conv(y, 1), 3));
      if (block < 3) y = averagePool(conv(y, 1), 2, 2);
    });
    return y;
  });

/** https://arxiv.org/abs/1512.00567, as Keras has it. */
const inceptionV3 = () =>
  network(299, (x) => {
    let y = maxPool(conv(conv(conv(x, 3, 2), 3), 3), 3, 2);
    y = maxPool(conv(conv(y, 1), 3), 3, 2);
    for (let block = 0; block < 3; block++) {
      const five = conv(conv(y, 1), 5);
      const threes = conv(conv(conv(y, 1), 3), 3);
      y = concatenate(conv(y, 1), five, threes, conv(averagePool(y, 3, 1), 1));
    }
    y = concatenate(conv(y, 3, 2), conv(conv(conv(y, 1), 3), 3, 2), maxPool(y, 3, 2));
    for (let block = 0; block < 4; block++) {
      const once = conv(conv(conv(y, 1), [1, 7]), [7, 1]);
      const twice = conv(conv(conv(conv(conv(y, 1), [7, 1]), [1, 7]), [7, 1]), [1, 7]);
      y = concatenate(conv(y, 1), once, twice, conv(averagePool(y, 3, 1), 1));
    }
    const left = conv(conv(y, 1), 3, 2);
    const right = conv(conv(conv(conv(y, 1), [1, 7]), [7, 1]), 3, 2);
    y = concatenate(left, right, maxPool(y, 3, 2));
    for (let block = 0; block < 2; block++) {
      const three = conv(y, 1);
      const long = conv(conv(y, 1), 3);
      y = concatenate(
        conv(y, 1),
        conv(three, [1, 3]),
        conv(three, [3, 1]),
        conv(long, [1, 3]),
        conv(long, [3, 1]),
        conv(averagePool(y, 3, 1), 1),
      );
    }
    return y;
  });

/** By name; each builds anew. */
export const architectures: Readonly<Record<string, () => tf.LayersModel>> = {
  'VGG-11': vgg([1, 1, 2, 2, 2]),
  'VGG-13': vgg([2, 2, 2, 2, 2]),
  'VGG-16': vgg([2, 2, 3, 3, 3]),
  'VGG-19': vgg([2, 2, 4, 4, 4]),
  'ResNet-18': resNet([2, 2, 2, 2], false),
  'ResNet-34': resNet([3, 4, 6, 3], false),
  'ResNet-50': resNet([3, 4, 6, 3], true),
  'ResNet-50 (Keras)': resNet([3, 4, 6, 3], true, 0),
  'ResNet-101': resNet([3, 4, 23, 3], true),
  MobileNet: mobileNet,
  MobileNetV2: mobileNetV2,
  'DenseNet-121': denseNet121,
  'EfficientNet-B0': efficientNetB0,
  InceptionV3: inceptionV3,
};
