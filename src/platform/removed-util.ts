import util from 'node:util';

/** What Node 23 removed of `util` and tfjs-node 4.22 calls. Source: https://nodejs.org/docs/latest-v22.x/api/util.html */
const removed = {
  isArray: (value: unknown) => Array.isArray(value),
  isNullOrUndefined: (value: unknown) => value === null || value === undefined,
};

for (const [name, substitute] of Object.entries(removed)) {
  const functions = util as unknown as Record<string, unknown>;
  if (typeof functions[name] !== 'function') functions[name] = substitute;
}
