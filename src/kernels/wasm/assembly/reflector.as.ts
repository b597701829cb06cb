import { dot, get, set } from './vector.as';

/** What is smaller counts as 0, since its inverse may be infinite; the host scales matrices to beyond 1e-100. */
const NEGLIGIBLE: f64 = 1e-290;

/** u with last entry 1 such that (I - tau u u^T) x = beta e_last; u = 0 where nothing is to be done. Returns tau. */
export function makeReflector(x: usize, length: i32, u: usize, beta: usize): f64 {
  const last = length - 1;
  const alpha = get(x, last);
  let largest: f64 = 0;
  for (let j = 0; j < length; j++) largest = max(largest, abs(get(x, j)));
  let tail: f64 = 0;
  if (largest > NEGLIGIBLE) {
    const inverse = 1.0 / largest;
    for (let j = 0; j < last; j++) set(u, j, get(x, j) * inverse);
    tail = dot(u, u, last);
  }
  if (tail == 0) {
    store<f64>(beta, alpha);
    memory.fill(u, 0, <usize>length << 3);
    return 0;
  }
  const scaled = alpha / largest;
  const norm = Math.sqrt(scaled * scaled + tail);
  const image = scaled >= 0 ? -norm : norm;
  const scale = 1.0 / (scaled - image);
  for (let j = 0; j < last; j++) set(u, j, get(u, j) * scale);
  set(u, last, 1.0);
  store<f64>(beta, image * largest);
  return (image - scaled) / image;
}
