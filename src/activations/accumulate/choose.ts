import { getBackend, type Tensor } from '@tensorflow/tfjs-core';
import type { AccumulatorFactory, FirstOutput, Kept, LayerAccumulator } from '../../recording/accumulator.js';
import { isPlainMatrix, sampleSize } from '../../recording/samples.js';
import { RemoteAccumulators } from '../../statistics/threads/remote-accumulators.js';
import { keepFreedMemory } from '../tensors.js';
import { DeviceAccumulator, float32Product } from './on-device.js';
import { float64Product, hasNativeFloat64 } from './on-device-float64.js';
import { GpuAccumulator } from './on-gpu.js';
import { onHost } from './on-host.js';
import { WorkerAccumulator } from './on-worker.js';

/**
 * Rows per feature from which reducing on the device is cheaper than copying the rows out: copying costs the same for
 * every number, the product costs d per number.
 */
const deviceRowsPerFeature = 16;

/**
 * Makes the accumulators of one recorder: it chooses where each layer is accumulated, and owns the thread that layers
 * share. The choices follow measurements: see bench/RESULTS.md.
 */
export class TensorAccumulators implements AccumulatorFactory<Tensor> {
  readonly #precision: 'auto' | 'float64';
  #thread: RemoteAccumulators | undefined;

  constructor(precision: 'auto' | 'float64') {
    this.#precision = precision;
  }

  /**
   * Chooses by backend, shape and precision:
   * - GPU (WebGL, WebGPU): sums on the device, which are read asynchronously. With precision 'float64' the rows are read.
   * - native: many rows per feature are reduced on the device; few rows go to a worker thread.
   * - cpu and wasm, layers that are too wide for a covariance, and every output that is not a plain matrix of rows: float64 on this thread.
   *
   * @param name of the layer and split, unique within this factory
   * @param output the layer's first output; undefined if a saved state arrives before any output
   * @param kept what is kept beside mean and covariance. To choose rows of all, or to sum them by class, they must be read to the host.
   * @param report receives errors that occur when no caller can receive them
   */
  choose(
    name: string,
    output: FirstOutput | undefined,
    kept: Kept,
    report: (error: unknown) => void,
  ): LayerAccumulator<Tensor> {
    const backend = getBackend();
    if (output === undefined || kept.ofAllRows || kept.sketch) return onHost(report, kept);
    // Devices multiply in float32 or in integers that overflow: others than float32 are read.
    const { rows, features } = sampleSize(output.shape, output.view);
    // What has a row for each item is summed by class, too: its rows are few, and are read.
    const isByClass = kept.classes && rows === output.shape[0];
    const plain =
      !isByClass &&
      (output.dtype ?? 'float32') === 'float32' &&
      isPlainMatrix(output.shape, output.view, output.masked);
    if (backend === 'webgl' || backend === 'webgpu') {
      // With fewer rows than features, the rows themselves are less to read than the sums.
      const onDevice = plain && rows >= features && this.#precision === 'auto';
      return onDevice ? new GpuAccumulator(report, kept) : onHost(report, kept);
    }
    if (backend !== 'tensorflow') return onHost(report, kept);
    keepFreedMemory();
    if (plain && rows >= deviceRowsPerFeature * features) {
      if (this.#precision === 'auto') return new DeviceAccumulator(float32Product, kept);
      if (hasNativeFloat64()) return new DeviceAccumulator(float64Product, kept);
    }
    const float32Products = this.#precision === 'auto';
    this.#thread ??= RemoteAccumulators.start({ float32Products, units: kept.units });
    if (this.#thread === undefined) return onHost(report, kept);
    return new WorkerAccumulator(this.#thread, name, float32Products, kept);
  }

  /** Ends the shared thread; what it accumulated is lost. The next layer that needs one starts another. */
  close(): void {
    this.#thread?.close();
    this.#thread = undefined;
  }
}
