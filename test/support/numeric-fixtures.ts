import { readFileSync } from 'node:fs';
import { decodeNpy } from '../../src/stores/npy.js';

/** Reference numbers of numpy, torch and Delve 0.1.50: test/fixtures/numeric/index.json explains them. */
const folder = new URL('../fixtures/numeric/', import.meta.url);

/** Intrinsic dimensionality at one threshold; `margin`: distance of the threshold from the nearest cumulative fraction. */
interface ExpectedDimension {
  delve_metrics_on_twopass_cov: number;
  paper_twopass: number | null;
  margin: number | null;
  lsat_delve_metrics: number;
}

interface View {
  n: number;
  d: number;
  batch_rows: number[];
  files: Record<'cov_twopass' | 'mean' | 'eig_twopass' | 'eig_svd', string>;
  trace_twopass: number;
  logabsdet_from_svd_spectrum: number | '-inf';
  participation_ratio: number | null;
  entropy_effective_rank: number | null;
  idim: Record<string, ExpectedDimension>;
}

interface Index {
  spectra: Record<
    string,
    {
      eigenvalues: number[] | string;
      d: number;
      trace: number;
      dtrc: number;
      det: number;
      idim: Record<string, { delve_metrics: number; paper: number | null; margin: number | null }>;
    }
  >;
  cases: Record<
    string,
    (View & { x: string; dtype: string }) | { x: string; shape: number[]; views: Record<string, View> }
  >;
}

export const index = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8')) as Index;

/** Numbers of one .npy file: Float32Array if the file has float32. */
export function numbers(path: string): Float32Array | Float64Array {
  const bytes = readFileSync(new URL(path, folder));
  const { values } = decodeNpy(bytes);
  const isFloat32 = bytes.subarray(0, 128).toString('latin1').includes("'<f4'");
  return isFloat32 ? Float32Array.from(values) : Float64Array.from(values);
}

/** One matrix of samples with everything that is known about it. */
export interface NumericCase extends View {
  name: string;
  samples: Float32Array | Float64Array;
}

/** All matrices of samples, those of the convolutional and recurrent layers included. */
export function numericCases(): NumericCase[] {
  const cases: NumericCase[] = [];
  for (const [name, entry] of Object.entries(index.cases)) {
    const x = numbers(entry.x);
    if (!('views' in entry)) cases.push({ ...entry, name, samples: x });
    else {
      for (const [view, expected] of Object.entries(entry.views)) {
        cases.push({ ...expected, name: `${name} ${view}`, samples: samplesOf(name, view, x, entry.shape) });
      }
    }
  }
  return cases;
}

function samplesOf(name: string, view: string, x: Float32Array | Float64Array, shape: number[]) {
  if (view === 'channelwise' || view === 'flatten' || view === 'tokens' || view === 'timestepwise') return x;
  if (view === 'last_timestep') {
    const [items, steps, units] = shape;
    const last = new Float32Array(items * units);
    for (let i = 0; i < items; i++) {
      const end = (i + 1) * steps * units;
      last.set(x.subarray(end - units, end), i * units);
    }
    return last;
  }
  return numbers(`${name}/${view}_rows.npy`);
}

/** The eigenvalues of a named spectrum: a list, or "1.0 x 100" for a hundred ones. */
export function spectrumValues(name: string): Float64Array {
  const { eigenvalues } = index.spectra[name];
  if (typeof eigenvalues !== 'string') return Float64Array.from(eigenvalues);
  const [value, times] = eigenvalues.split(' x ').map(Number);
  return new Float64Array(times).fill(value);
}
