/*
 * Methods of models and layers are replaced on single objects, and put back. All hooks of this package stand on this.
 */

type Method = (...args: unknown[]) => unknown;

/** Runs in place of a method: `original` is the method itself, or the next wrap below. */
export type Around = (original: Method, self: unknown, args: unknown[]) => unknown;

interface Wrapped {
  arounds: Around[];
  /** The property that the object itself had before, to be put back; usually there was none. */
  before: PropertyDescriptor | undefined;
  wrapper: Method;
}

const wrapped = new WeakMap<object, Map<string, Wrapped>>();

/**
 * Replaces a method of one object by `around`, until the returned function is called. However many wraps there are, the
 * object gets one property, which is not enumerable, so that neither its configuration nor saved files show it. Wraps may
 * be removed in any order; when the last one is removed, the object is as it was. If there is no such method, nothing
 * happens.
 */
export function wrapMethod(object: object, name: string, around: Around): () => void {
  const target = object as Record<string, unknown>;
  const original = target[name];
  if (typeof original !== 'function') return () => {};
  const known = wrapped.get(object)?.get(name);
  // Someone may have replaced the method since it was wrapped: then the replacement is wrapped anew.
  const entry = known !== undefined && known.wrapper === original ? known : install(target, name, original as Method);
  entry.arounds.push(around);
  return () => {
    const at = entry.arounds.indexOf(around);
    if (at < 0) return;
    entry.arounds.splice(at, 1);
    if (entry.arounds.length > 0) return;
    const methods = wrapped.get(object);
    if (methods?.get(name) === entry) methods.delete(name);
    // If someone else wrapped our wrapper, it stays in place and only passes calls on.
    if (Object.getOwnPropertyDescriptor(object, name)?.value !== entry.wrapper) return;
    if (entry.before === undefined) delete target[name];
    else Object.defineProperty(object, name, entry.before);
  };
}

function install(target: Record<string, unknown>, name: string, original: Method): Wrapped {
  const entry: Wrapped = {
    arounds: [],
    before: Object.getOwnPropertyDescriptor(target, name),
    wrapper(this: unknown, ...args: unknown[]) {
      // A wrap may remove itself, or others, while it runs.
      const arounds = [...entry.arounds];
      const runFrom = (index: number, self: unknown, passed: unknown[]): unknown => {
        if (index < 0) return original.apply(self, passed);
        const next: Method = (...further) => runFrom(index - 1, self, further);
        return entry.arounds.includes(arounds[index]) ? arounds[index](next, self, passed) : next(...passed);
      };
      return runFrom(arounds.length - 1, this, args);
    },
  };
  Object.defineProperty(target, name, { value: entry.wrapper, configurable: true, writable: true, enumerable: false });
  const methods = wrapped.get(target) ?? new Map<string, Wrapped>();
  methods.set(name, entry);
  wrapped.set(target, methods);
  return entry;
}
