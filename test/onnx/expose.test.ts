import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { lengthOf, withOutputs } from '../../src/models/edit-model.js';
import { type ModelSource, readModel, sourceOf } from '../../src/models/onnx-model.js';
import { exposeFile, exposeOutputs, listLayers } from '../../src/onnx.js';
import { temporaryFolder } from '../support/folders.js';
import { uniform } from '../support/random.js';
import { fileOf, fixtures, sessionOf, sha256 } from './support.js';

const bytesOf = (name: string) => fixtures[name].bytes;
const namesOf = (bytes: Uint8Array, options = {}) => listLayers(bytes, options).map(({ name }) => name);

describe('the layers of a model', () => {
  it.each(Object.keys(fixtures))('%s: names and values are those that are expected', (name) => {
    const { layers } = fixtures[name];
    const found = listLayers(bytesOf(name));
    // The branches of an If stand in the file in any order.
    const inOrder = (names: string[]) => (name === 'branches' ? names.sort() : names);
    expect(inOrder(found.map((layer) => layer.name))).toEqual(inOrder(Object.keys(layers)));
    for (const layer of found) {
      expect(layer.features).toBe(layers[layer.name].eigenvalues.length);
      if (layer.insideOf === undefined) expect(layer.value).toBe(layers[layer.name].value);
    }
  });

  it.each(['digits_legacy.onnx', 'digits_dynamo.onnx'])('%s: those of the torch modules, by their paths', (file) => {
    const found = listLayers(fileOf(file));
    const modules = ['conv1', 'conv2', 'conv3', 'enc/layers/0/linear1', 'enc/layers/0/linear2', 'fc1', 'fc2'];
    // torch's older exporter writes `layers.0`.
    const plain = (name: string) => name.replaceAll('.', '/');
    expect(found.map(({ name }) => plain(name))).toEqual(expect.arrayContaining(modules));
    const widths = Object.fromEntries(found.map(({ name, features }) => [plain(name), features]));
    expect(modules.map((name) => widths[name])).toEqual([16, 32, 64, 128, 64, 128, 10]);
    // The projections of the attention are layers, the products of data are none.
    expect(found.length).toBe(modules.length + 2);
  });

  it('behind an activation, if that is asked for', () => {
    const [before] = listLayers(bytesOf('mlp'));
    const [behind] = listLayers(bytesOf('mlp'), { activations: 'output' });
    expect([before.value, behind.value]).toEqual(['a1', 'r1']);
  });

  it('the hidden state behind each numbered block', () => {
    const blocks = listLayers(bytesOf('tokens'), { outputs: 'blocks' });
    expect(blocks.map(({ name, value }) => [name, value])).toEqual([
      ['block/layer.0', 'h1'],
      ['block/layer.1', 'h2'],
    ]);
    expect(() => listLayers(bytesOf('mlp'), { outputs: 'blocks' })).toThrow(/expected numbered blocks/);
    const legacy = listLayers(fileOf('digits_legacy.onnx'), { outputs: 'blocks' }).map(({ name }) => name);
    const dynamo = listLayers(fileOf('digits_dynamo.onnx'), { outputs: 'blocks' }).map(({ name }) => name);
    expect(legacy).toEqual(['enc/layers/0'].map((name) => expect.stringMatching(name.replaceAll('/', '.'))));
    expect(dynamo).toEqual(legacy.map(() => expect.stringMatching(/enc.layers.0/)));
  });

  it('by a function: kept, dropped, renamed, any node', () => {
    const kept = namesOf(bytesOf('mlp'), { outputs: ({ path }: { path: string }) => path === 'fc2' });
    const named = namesOf(bytesOf('mlp'), { outputs: ({ op }: { op: string }) => op === 'Relu' && 'activation' });
    expect([kept, named]).toEqual([['fc2'], ['activation']]);
  });

  it('by names of layers, nodes and values', () => {
    expect(namesOf(bytesOf('mlp'), { outputs: ['fc1', '/act/Relu', 'm1'] })).toEqual(['fc1', '/act/Relu', 'm1']);
    const [, relu, product] = listLayers(bytesOf('mlp'), { outputs: ['fc1', '/act/Relu', 'm1'] });
    expect([relu.value, product.value]).toEqual(['r1', 'm1']);
  });

  it('what cannot be reached is named', () => {
    const { leftOut } = exposeOutputs(bytesOf('branches'));
    expect(leftOut).toEqual([{ name: 'step', why: "inside of Loop '/loop/Loop', whose values do not leave it" }]);
    const narrow = exposeOutputs(bytesOf('mlp'), { maxFeatures: 6 });
    expect(narrow.layers.map(({ name }) => name)).toEqual(['fc2']);
    expect(narrow.leftOut).toEqual([{ name: 'fc1', why: 'it has 12 features, more than maxFeatures = 6' }]);
  });
});

describe('the edited model', () => {
  it.each(Object.keys(fixtures).filter((name) => name !== 'branches'))(
    "%s is byte for byte what onnx-python's own edit gives",
    (name) => {
      expect(sha256(exposeOutputs(bytesOf(name)).bytes)).toBe(fixtures[name].edited);
    },
  );

  it.each(Object.keys(fixtures))('%s computes its own outputs as before', async (name) => {
    const { feeds, outputs } = fixtures[name];
    const own = Object.keys(outputs);
    const exposed = exposeOutputs(bytesOf(name));
    const before = await (await sessionOf(bytesOf(name))).run(feeds);
    const after = await (await sessionOf(exposed.bytes)).run(feeds);
    for (const key of own) {
      // Without kernels for float16, the runtime computes in float32 and rounds only what goes out.
      if (name !== 'half') expect(after[key].data).toEqual(before[key].data);
      expect(after[key].dims).toEqual(outputs[key].dims);
    }
    const optimized = await (await sessionOf(exposed.bytes, 'all')).run(feeds);
    for (const key of own) {
      const expected = outputs[key].data as Float32Array;
      (optimized[key].data as Float32Array).forEach((each, i) => {
        const within = name === 'half' ? 2e-3 : 1e-5;
        expect(Math.abs(each - expected[i])).toBeLessThan(within * Math.max(1, Math.abs(expected[i])));
      });
    }
  });

  it('of a branch that is not taken, the outputs are empty', async () => {
    const { bytes, layers } = exposeOutputs(bytesOf('branches'));
    const session = await sessionOf(bytes);
    const { x } = fixtures.branches.feeds;
    const ort = await import('onnxruntime-web');
    const value = (name: string) => layers.find((layer) => layer.name === name)!.value;
    const dims = async (taken: number) => {
      const outputs = await session.run({ x, c: new ort.Tensor('bool', Uint8Array.of(taken), []) });
      return ['a', 'deep', 'other', 'b'].map((name) => outputs[value(name)].dims.join('x'));
    };
    expect(await dims(1)).toEqual(['50x5', '50x5', '0', '0']);
    expect(await dims(0)).toEqual(['0', '0', '0', '50x5']);
    expect(layers.find(({ name }) => name === 'other')!.insideOf).toBe(
      "If '/if' (then_branch), If '/nested' (else_branch)",
    );
  });

  it('from file to file, of a size that is never in memory', async () => {
    const folder = temporaryFolder();
    const from = join(folder, 'm.onnx');
    writeFileSync(from, bytesOf('cnn'));
    const { layers } = await exposeFile(from, join(folder, 'out.onnx'));
    const whole = exposeOutputs(bytesOf('cnn'));
    expect(layers).toEqual(whole.layers);
    const { readFileSync } = await import('node:fs');
    expect(new Uint8Array(readFileSync(join(folder, 'out.onnx')))).toEqual(whole.bytes);
    await expect(exposeFile(join(folder, 'none.onnx'), join(folder, 'x.onnx'))).rejects.toThrow(/ENOENT/);
  });
});

describe('bad input', () => {
  const text = (words: string) => new TextEncoder().encode(words);
  const mlp = bytesOf('mlp');
  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /exposeOutputs: expected the bytes of an .onnx file, got undefined/],
    ['a path', 'model.onnx', /expected the bytes of an .onnx file, got the string/],
    ['no bytes', new Uint8Array(0), /got an empty file/],
    ['a page', text('<!DOCTYPE html><html>'), /got an HTML page/],
    ['a pointer', text('version https://git-lfs.github.com/spec/v1\noid sha256:0'), /got the pointer of Git LFS/],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), /got a gzip file/],
    ['zip', text('PK\u0003\u0004'), /got a zip file/],
    ['JSON', text('{"a":1}'), /got JSON/],
    ['the ORT format', text('\u0018\u0000\u0000\u0000ORTM'), /got a file in the ORT format/],
    [
      'a part',
      mlp.subarray(0, 300),
      /got a field 7 that ends beyond its message \(byte \d+ of 300\): the file may be cut off/,
    ],
    ['a picture', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), /expected an ONNX model, got/],
    ['another message', Uint8Array.of(8, 8), /got 2 bytes without a graph/],
    ['two graphs', Uint8Array.from([...mlp, 0x3a, 0]), /expected a model with one graph, got 2/],
  ])('%s', (_name, bytes, message) => {
    expect(() => exposeOutputs(bytes as Uint8Array)).toThrow(message);
  });

  it.each<[string, object, RegExp]>([
    ['an option', { output: 'layers' }, /got 'output'; did you mean 'outputs'/],
    [
      'outputs',
      { outputs: 'all' },
      /outputs: expected 'layers', 'blocks', a list of names or a function, got the string "all"/,
    ],
    ['activations', { activations: 'after' }, /activations: expected 'preActivation' or 'output'/],
    ['maxFeatures', { maxFeatures: 0 }, /maxFeatures: expected a number >= 1/],
    ['too narrow', { maxFeatures: 2 }, /expected a layer of at most maxFeatures = 2 features, got 'fc1', 'fc2'/],
    ['a name', { outputs: ['fc3'] }, /got 'fc3'; did you mean 'fc[12]'/],
    ['no name', { outputs: [3] }, /expected names, got number 3 in the list/],
    ['a function that keeps none', { outputs: () => false }, /expected the function to keep at least one node/],
    [
      'a function of numbers',
      { outputs: () => 1 },
      /expected the function to return a boolean or a string for node 'fc1'/,
    ],
  ])('%s', (_name, options, message) => {
    expect(() => exposeOutputs(mlp, options)).toThrow(message);
  });

  it('a value inside of a branch, by its name', () => {
    expect(() => exposeOutputs(bytesOf('branches'), { outputs: ['t1'] })).toThrow(
      /it is inside of If '\/if', whose values go out by outputs: 'layers' or a function only/,
    );
  });

  it('mutated bytes end in an error or a model, soon', () => {
    const next = uniform(5);
    let models = 0;
    for (let round = 0; round < 3000; round++) {
      const name = Object.keys(fixtures)[Math.floor(next() * Object.keys(fixtures).length)];
      const bytes = bytesOf(name).slice(0, next() < 0.2 ? Math.floor(next() * bytesOf(name).length) : undefined);
      for (let change = 0; change < 1 + 3 * next(); change++) {
        bytes[Math.floor(next() * bytes.length)] = Math.floor(256 * next());
      }
      try {
        const exposed = exposeOutputs(bytes);
        // What is read can be read again.
        expect(listLayers(exposed.bytes).length).toBeGreaterThan(0);
        models++;
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
    expect(models).toBeGreaterThan(500);
  });
});

it("another parser finds the edited model's nodes and outputs", () => {
  // The messages of onnx.proto, as far as they are looked at.
  const { root } = protobuf.parse(`
    syntax = "proto3";
    message Model { int64 ir_version = 1; Graph graph = 7; }
    message Graph { repeated Node node = 1; string name = 2; repeated Value input = 11; repeated Value output = 12; }
    message Node { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4; }
    message Value { string name = 1; }`);
  const Model = root.lookupType('Model');
  const read = (bytes: Uint8Array) =>
    Model.decode(bytes) as unknown as { graph: { node: { name: string }[]; output: { name: string }[] } };
  for (const [name, { bytes }] of Object.entries(fixtures)) {
    const exposed = exposeOutputs(bytes);
    const [before, after] = [read(bytes).graph, read(exposed.bytes).graph];
    // Layers that are lifted out of branches change their If nodes.
    if (name !== 'branches') expect(after.node, name).toEqual(before.node);
    const added = exposed.layers.filter(({ isOutput }) => !isOutput).map(({ value }) => value);
    expect(
      after.output.map((each) => each.name),
      name,
    ).toEqual([...before.output.map((each) => each.name), ...added]);
  }
});

it('of a model of gigabytes, only the graph is read', () => {
  // An initializer of 1.9 GB of zeros in front of the nodes: raw_data (9) of a tensor { dims, data_type, name }.
  const small = bytesOf('mlp');
  const { field } = readModel(sourceOf(small), 'test').graph.nodes[0];
  const varint = (value: number): number[] => {
    const bytes: number[] = [];
    for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
    return [...bytes, value];
  };
  const weights = 1.9e9;
  const start = [0x10, 1, 0x42, 3, 0x62, 0x69, 0x67, 0x4a, ...varint(weights)];
  const tensor = [0x2a, ...varint(start.length + weights), ...start];
  const graph = readModel(sourceOf(small), 'test').graph.range;
  const head = [...small.subarray(0, graph.from - 2 - (graph.to - graph.from > 16383 ? 1 : 0))];
  const parts = { before: small.subarray(graph.from, field.from), after: small.subarray(field.from, graph.to) };
  const size = graph.to - graph.from + tensor.length + weights;
  const front = Uint8Array.from([...head.slice(0, head.length - 1), 0x3a, ...varint(size), ...parts.before, ...tensor]);
  const back = Uint8Array.from([...parts.after, ...small.subarray(graph.to)]);
  let read = 0;
  const source: ModelSource = {
    size: front.length + weights + back.length,
    read(from, to) {
      read += to - from;
      const bytes = new Uint8Array(to - from);
      const copy = (part: Uint8Array, at: number) => {
        const first = Math.max(from, at);
        const last = Math.min(to, at + part.length);
        if (last > first) bytes.set(part.subarray(first - at, last - at), first - from);
      };
      copy(front, 0);
      copy(back, front.length + weights);
      return bytes;
    },
  };
  const model = readModel(source, 'test');
  expect(model.graph.nodes.map(({ op }) => op)).toEqual(['MatMul', 'Add', 'Relu', 'Gemm']);
  expect([...model.graph.initializers.keys()]).toContain('big');
  expect(read).toBeLessThan(400_000);
  const { parts: edited } = withOutputs(model, source.size, [{ value: 'r1', within: [], elementType: 1 }]);
  expect(lengthOf(edited)).toBe(source.size + 6 + varint(size + 6).length - varint(size).length);
});
