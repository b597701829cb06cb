import { getBackend, type Tensor } from '@tensorflow/tfjs-core';
import { type AccumulatorFactory, nothingKept } from '../../recording/accumulator.js';
import { HostAccumulator, type SampleReader } from '../../recording/host-accumulator.js';
import { readSamples, readSamplesLater } from './read-samples.js';

/** How tensors of the current backend are read to the host: at once, or later where a synchronous read would stall the device. */
function tensorReader(): SampleReader<Tensor> {
  const backend = getBackend();
  const isAsync = backend === 'webgpu' || backend === 'webgl';
  return {
    strategy: isAsync ? 'float64 on the host, read back asynchronously' : 'float64 on the host',
    read(pass, use) {
      if (isAsync) return readSamplesLater(pass);
      readSamples(pass, use);
    },
    // The cpu backend computes in JavaScript, whose loops become slower once an array was transferred to a thread.
    copiesToThread: () => getBackend() === 'cpu',
  };
}

/**
 * Reads tensors and accumulates them in float64 on this thread: the exact way that works on every backend.
 *
 * @param report receives errors that occur when no caller can receive them
 * @param kept what is kept beside mean and covariance; default nothing
 */
export function onHost(report: (error: unknown) => void, kept = nothingKept): HostAccumulator<Tensor> {
  return new HostAccumulator(tensorReader(), report, kept);
}

/**
 * Accumulates every layer on this thread in float64, whatever the backend: the sums have the same bits however threads and
 * devices are timed.
 */
export const hostAccumulators: AccumulatorFactory<Tensor> = {
  choose: (_name, _output, kept, report) => onHost(report, kept),
  close: () => {},
};
