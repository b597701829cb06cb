import { describe, expect, it } from 'vitest';
import { childrenOf, levelsOf, nameOf, type PlanOptions, plan, readPlan, rootOf, shardsOf } from '../../src/scale.js';

const shards = ['b', 'c', 'a'];
const made = (more: Partial<PlanOptions> = {}) => plan({ shards, task: 'digits', ...more });

describe('a plan', () => {
  it('has one id for one content, in whatever order it is given', () => {
    expect(made().shards).toEqual(['a', 'b', 'c']);
    expect(made().id).toBe(plan({ shards: new Set(['c', 'a', 'b']), task: 'digits' }).id);
    expect(made({ args: { x: 1, y: [2, null] } }).id).toBe(made({ args: { y: [2, null], x: 1 } }).id);
    expect(readPlan(JSON.stringify(made()))).toEqual(made());
    expect(readPlan(JSON.parse(JSON.stringify(made({ args: { a: ['é', 1e300, true] } }))))).toEqual(
      made({ args: { a: ['é', 1e300, true] } }),
    );
  });

  it('has another id for whatever decides the bits', () => {
    const ids = [
      made(),
      made({ shards: ['a', 'b'] }),
      made({ task: 'letters' }),
      made({ args: { x: 1 } }),
      made({ fanIn: 2 }),
      made({ numerics: { kernels: 'typescript' } }),
      made({ numerics: { float32Products: true } }),
      made({ numerics: { units: true } }),
      made({ numerics: { batch: 32 } }),
    ].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each([1, 2, 3, 15, 16, 17, 256, 257, 1000])('has a tree without gaps over %i shards', (count) => {
    for (const fanIn of [2, 3, 16]) {
      const one = plan({ shards: Array.from({ length: count }, (_, i) => `s${i}`), task: 't', fanIn });
      const levels = levelsOf(one);
      expect(levels.at(-1)).toBe(1);
      expect(shardsOf(one, rootOf(one))).toEqual([0, count]);
      for (let level = 1; level < levels.length; level++) {
        const children = Array.from({ length: levels[level] }, (_, index) => childrenOf(one, { level, index }));
        expect(children.flat().map(({ index }) => index)).toEqual(
          Array.from({ length: levels[level - 1] }, (_, i) => i),
        );
        for (const [index, below] of children.entries()) {
          const ranges = below.map((child) => shardsOf(one, child));
          expect(ranges[0][0]).toBe(shardsOf(one, { level, index })[0]);
          expect(ranges.at(-1)![1]).toBe(shardsOf(one, { level, index })[1]);
          for (let i = 1; i < ranges.length; i++) expect(ranges[i][0]).toBe(ranges[i - 1][1]);
        }
      }
    }
    expect(nameOf({ level: 0, index: 3 })).toBe('map-000003');
    expect(nameOf({ level: 2, index: 12 })).toBe('merge-2-000012');
  });

  it.each<[string, () => unknown, string]>([
    ['no options', () => plan(undefined as never), 'plan: expected options, got undefined'],
    ['an option it does not know', () => plan({ shard: [] } as never), "did you mean 'shards'?"],
    ['no shards', () => made({ shards: [] }), 'expected one shard or more, got none'],
    ['shards that are a text', () => made({ shards: 'abc' }), 'plan: expected shards to be names'],
    ['a shard twice', () => made({ shards: ['a', 'b', 'a'] }), "expected each shard once, got 'a' again"],
    ['a shard without a name', () => made({ shards: [''] }), 'expected the name of a shard'],
    ['a shard that is a number', () => made({ shards: [3] as never }), 'expected the name of a shard, got number 3'],
    ['no task', () => made({ task: '' }), 'expected task to be a name'],
    ['a fan-in of 1', () => made({ fanIn: 1 }), 'expected fanIn to be an integer >= 2, got number 1'],
    ['a fan-in of 2.5', () => made({ fanIn: 2.5 }), 'expected fanIn to be an integer >= 2'],
    ['kernels that there are not', () => made({ numerics: { kernels: 'gpu' as never } }), 'got the string "gpu"'],
    [
      'a flag that is none',
      () => made({ numerics: { units: 1 as never } }),
      'expected numerics.units to be true or false',
    ],
    [
      'arguments that JSON cannot hold',
      () => made({ args: { x: [1, Number.NaN] } }),
      'plan.args.x[1]: expected what JSON',
    ],
    [
      'a date',
      () => made({ args: { x: new Date(0) as never } }),
      'plan.args.x: expected what JSON can hold, got an object of',
    ],
    ['no plan', () => readPlan('null'), 'readPlan: expected a plan, got null'],
    ['no JSON', () => readPlan('{"for'), 'readPlan: expected JSON, got '],
    ['another format', () => readPlan({ ...made(), format: 2 }), 'expected a plan of format 1, got format number 2'],
    ['a changed plan', () => readPlan({ ...made(), fanIn: 3 }), 'which fits what the plan holds, got the string'],
    ['a plan without shards', () => readPlan({ ...made(), shards: undefined }), 'expected shards to be names'],
  ])('is refused: %s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
