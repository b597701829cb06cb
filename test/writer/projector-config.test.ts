import { describe, expect, it } from 'vitest';
import { MemoryOutput, type Output } from '../../src/output/output.js';
import { Run } from '../../src/writer/run.js';

const entry = (name: string) => ({ tensorName: name, config: `embeddings {\n  tensor_name: "${name}"\n}\n` });
const configOf = (output: MemoryOutput) => new TextDecoder().decode(output.files.get('projector_config.pbtxt'));
const policy = { maxQueue: 100, flushMillis: 1000, maxBufferedBytes: 1000, maxUnwrittenBytes: 1000 };

describe("a run's projector configuration", () => {
  it('holds all embeddings of a run, in whichever order they come', async () => {
    const output = new MemoryOutput();
    const run = new Run(output, policy);
    run.addEmbedding({ files: [], entry: Promise.resolve(entry('late')) });
    run.addEmbedding({ files: [], entry: entry('early') });
    expect(configOf(output)).toBe(entry('early').config);
    await run.flush();
    expect(configOf(output)).toBe(entry('early').config + entry('late').config);
  });

  it('continues the configuration that an earlier program left in the folder', async () => {
    const output = new MemoryOutput();
    await output.file('projector_config.pbtxt', new TextEncoder().encode(entry('before').config));
    new Run(output, policy).addEmbedding({ files: [], entry: entry('now') });
    expect(configOf(output)).toBe(entry('before').config + entry('now').config);
  });

  it('remembers what it wrote if the Output cannot be read', () => {
    const written: string[] = [];
    const output: Output = {
      write() {},
      flush: async () => {},
      close: async () => {},
      file: async (_, bytes) => void written.push(new TextDecoder().decode(bytes)),
    };
    const run = new Run(output, policy);
    run.addEmbedding({ files: [], entry: entry('a') });
    run.addEmbedding({ files: [], entry: entry('b') });
    expect(written.at(-1)).toBe(entry('a').config + entry('b').config);
  });
});
