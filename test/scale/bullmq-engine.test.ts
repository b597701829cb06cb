import { describe, expect, it } from 'vitest';
import { bullmqEngine, plan } from '../../src/scale.js';

describe('bullmqEngine', () => {
  it.each([
    [{ connection: 6379 }, 'bullmqEngine: expected connection to be a URL or options, got number 6379'],
    [{ connection: null }, 'bullmqEngine: expected connection to be a URL or options, got null'],
    [
      { connection: 'redis://localhost', backend: 'sqlite' },
      "bullmqEngine: expected backend to be 'redis' or 'postgres', got the string \"sqlite\"",
    ],
    [
      { connection: 'redis://localhost', queue: 'a:b' },
      'bullmqEngine: expected queue to be a name without \':\', got the string "a:b"',
    ],
    [
      { connection: 'redis://localhost', lockDuration: 0.5 },
      'bullmqEngine: expected lockDuration to be an integer >= 1, got number 0.5',
    ],
    [
      { connection: 'redis://localhost', lockduration: 1 },
      "bullmqEngine: expected known options, got 'lockduration'; did you mean 'lockDuration'?",
    ],
  ])('refuses %j', (options, message) => {
    expect(() => bullmqEngine(options as never)).toThrow(message);
  });

  it.each([
    ['redis', 'redis://user:secret@127.0.0.1:1', 'redis://127.0.0.1:1'],
    ['postgres', 'postgres://user:secret@127.0.0.1:1/db', 'postgres://127.0.0.1:1/db'],
  ])('says which %s it cannot reach, without the password', async (_, connection, place) => {
    const engine = bullmqEngine({ connection, connectTimeout: 200 });
    const of = plan({ shards: ['a'], task: 'none' });
    const expected = `bullmqEngine: expected to reach ${place}, got connect ECONNREFUSED 127.0.0.1:1`;
    await expect(engine.submit(of)).rejects.toThrow(expected);
    await expect(engine.wait(of)).rejects.toThrow(expected);
  });
});
