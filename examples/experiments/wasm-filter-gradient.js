// The WebAssembly backend of TensorFlow.js 4.22 has no gradient of a convolution's filter, so it cannot train one
// (tensorflow/tfjs#8474). With this it can: for every place of the kernel one product of what lay below it and the
// output's gradient.
import * as tf from '@tensorflow/tfjs';

export function teachWasmToTrainConvolutions() {
  if (tf.getKernel('Conv2DBackpropFilter', 'wasm')) return;
  tf.registerKernel({
    kernelName: 'Conv2DBackpropFilter',
    backendName: 'wasm',
    kernelFunc: ({ inputs, attrs }) => {
      const { strides, pad, dataFormat, filterShape } = attrs;
      if (dataFormat !== 'NHWC') throw new Error(`convolution filter gradient: expected NHWC, got ${dataFormat}`);
      const x = tensorOf(inputs.x);
      const dy = tensorOf(inputs.dy);
      const gradient = tf.tidy(() => filterGradient(x, dy, filterShape, [strides].flat(), pad));
      // The tensor ends with the scope of this kernel; its values go on in the one that the engine makes of this.
      tf.backend().incRef(gradient.dataId);
      return { dataId: gradient.dataId, shape: gradient.shape, dtype: gradient.dtype };
    },
  });
}

/** Kernels are handed tensor infos; operations want tensors, which release what they hold when their scope ends. */
function tensorOf({ dataId, shape, dtype }) {
  tf.backend().incRef(dataId);
  return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype });
}

function filterGradient(x, dy, [height, width, channels, filters], [strideY, strideX = strideY], pad) {
  const [n, inY, inX] = x.shape;
  const [, outY, outX] = dy.shape;
  const needed = (out, stride, kernel) => (out - 1) * stride + kernel;
  const [padY, padX] =
    pad === 'same' ? [needed(outY, strideY, height) - inY, needed(outX, strideX, width) - inX] : [0, 0];
  const before = [Math.max(0, padY) >> 1, Math.max(0, padX) >> 1];
  // One stride more than needed behind, so that every slice below can be cut at a multiple of the stride.
  const padded = x.pad([
    [0, 0],
    [before[0], Math.max(0, needed(outY, strideY, height) - inY - before[0]) + strideY],
    [before[1], Math.max(0, needed(outX, strideX, width) - inX - before[1]) + strideX],
    [0, 0],
  ]);
  const gradients = dy.reshape([n * outY * outX, filters]);
  const places = [];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const below = padded.stridedSlice(
        [0, row, column, 0],
        [n, row + outY * strideY, column + outX * strideX, channels],
        [1, strideY, strideX, 1],
      );
      // An explicit transpose: XNNPACK is not used for matMul's own.
      places.push(
        below
          .reshape([n * outY * outX, channels])
          .transpose()
          .matMul(gradients),
      );
    }
  }
  return tf.stack(places).reshape([height, width, channels, filters]);
}
