import { describe, expect, it } from 'vitest';
import { MemoryOutput, type Output } from '../../src/output/output.js';
import { projectorConfigWith } from '../../src/writer/run.js';

const entry = (name: string) => ({ tensorName: name, config: `embeddings {\n  tensor_name: "${name}"\n}\n` });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('projectorConfigWith', () => {
  it('holds all embeddings of a run, in whichever order they come', async () => {
    const output = new MemoryOutput();
    const late = projectorConfigWith(output, Promise.resolve(entry('late')));
    const early = projectorConfigWith(output, entry('early')) as Uint8Array;
    expect(text(early)).toBe(entry('early').config);
    expect(text(await late)).toBe(entry('early').config + entry('late').config);
  });

  it('continues the configuration that an earlier program left in the folder', async () => {
    const output = new MemoryOutput();
    await output.file('projector_config.pbtxt', new TextEncoder().encode(entry('before').config));
    expect(text(projectorConfigWith(output, entry('now')) as Uint8Array)).toBe(
      entry('before').config + entry('now').config,
    );
  });

  it('remembers what it wrote where the Output cannot be read', () => {
    const output: Output = { write() {}, flush: async () => {}, close: async () => {} };
    projectorConfigWith(output, entry('a'));
    expect(text(projectorConfigWith(output, entry('b')) as Uint8Array)).toBe(entry('a').config + entry('b').config);
  });
});
