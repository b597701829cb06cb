type Method = (...args: unknown[]) => unknown;

/** Runs in place of a method: `original` is the method itself, or the next wrap below. */
export type Around = (original: Method, self: unknown, args: unknown[]) => unknown;

interface Wrapped {
  arounds: Around[];
  /** What the object had of its own before, to be put back; usually nothing. */
  before: PropertyDescriptor | undefined;
  wrapper: Method;
}

const wrapped = new WeakMap<object, Map<string, Wrapped>>();

/**
 * Has a method of one object run through `around`, until the returned function is called. The object gets one property,
 * not enumerable (so that neither configuration nor saved files show it), however many wraps there are; they may be
 * taken off in any order, and with the last one the object is as it was. Does nothing where there is no such method.
 */
export function wrapMethod(object: object, name: string, around: Around): () => void {
  const target = object as Record<string, unknown>;
  const original = target[name];
  if (typeof original !== 'function') return () => {};
  const known = wrapped.get(object)?.get(name);
  // Somebody may have replaced the method since it was wrapped: then theirs is wrapped anew.
  const entry = known !== undefined && known.wrapper === original ? known : install(target, name, original as Method);
  entry.arounds.push(around);
  return () => {
    const at = entry.arounds.indexOf(around);
    if (at < 0) return;
    entry.arounds.splice(at, 1);
    if (entry.arounds.length > 0) return;
    const methods = wrapped.get(object);
    if (methods?.get(name) === entry) methods.delete(name);
    // A wrapper of somebody else's around ours stays; ours below it only passes on.
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
      const runFrom = (index: number, self: unknown, passed: unknown[]): unknown =>
        index < 0
          ? original.apply(self, passed)
          : entry.arounds[index]((...further) => runFrom(index - 1, self, further), self, passed);
      return runFrom(entry.arounds.length - 1, this, args);
    },
  };
  Object.defineProperty(target, name, { value: entry.wrapper, configurable: true, writable: true, enumerable: false });
  const methods = wrapped.get(target) ?? new Map<string, Wrapped>();
  methods.set(name, entry);
  wrapped.set(target, methods);
  return entry;
}
