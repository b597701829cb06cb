import type { NumericArray } from './numbers.js';

/** A value that is there, or that comes later because a tensor cannot be read synchronously. */
export type Later<T> = T | Promise<T>;

/** Goes on with a value, at once where it is there. */
export function whenRead<T, R>(value: Later<T>, next: (value: T) => R): Later<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/**
 * Goes on with several values, at once where all are there. Where one comes later, numbers that are there are copied: the
 * caller may use their memory for something else by then.
 */
export function whenAllRead<T extends readonly unknown[], R>(
  values: { readonly [K in keyof T]: Later<T[K]> },
  next: (values: T) => R,
): Later<R> {
  if (!values.some((value) => value instanceof Promise)) return next(values as unknown as T);
  return Promise.all(values.map(keep)).then((read) => next(read as unknown as T));
}

function keep(value: unknown): unknown {
  const numbers = value as Partial<NumericArray> | undefined;
  return numbers?.values === undefined ? value : { ...numbers, values: numbers.values.slice() };
}
