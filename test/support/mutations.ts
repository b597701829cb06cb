import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeMessage, encodeMessage } from '../../src/encoding/message-codec.js';
import type { TensorBoardEvent } from '../../src/event/event.js';
import { tensorboard as tb } from '../../src/proto/tensorboard.js';
import { readEvents } from '../../src/reader/read-events.js';
import { uniform } from './random.js';

/** Every event of the fixtures, and an event for each message that TensorBoard itself filled. */
export async function realEvents(): Promise<TensorBoardEvent[]> {
  const folder = 'test/fixtures/events';
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('tfevents'));
  const events: TensorBoardEvent[] = [];
  for (const name of files.sort()) {
    for await (const event of readEvents(new Uint8Array(readFileSync(join(folder, name))))) events.push(event);
  }
  const filled = JSON.parse(readFileSync('test/fixtures/messages/filled.json', 'utf8'));
  const bytesOf = (name: string) => new Uint8Array(Buffer.from(filled[`tensorboard.${name}`], 'base64'));
  const address = { wallTime: 1, step: 1 };
  events.push(
    { ...address, graph: bytesOf('GraphDef') },
    { ...address, metaGraph: bytesOf('MetaGraphDef') },
    { ...address, runMetadata: { tag: 'filled', bytes: bytesOf('RunMetadata') } },
    { ...address, summary: [{ tag: 'filled', plugin: '', value: 0, raw: bytesOf('Summary.Value') }] },
  );
  // Session starts are left out: they hide points, and the Python loader fails to list images that have none left.
  return events.filter(
    ({ fileVersion, sessionLog, summary }) =>
      fileVersion === undefined && sessionLog?.status !== 'start' && !summary?.some(isLarge),
  );
}

const isLarge = ({ raw }: { raw: Uint8Array }) => raw.length > 20_000;

const plugins = ['scalars', 'images', 'histograms', 'audio', 'text', 'pr_curves', 'mesh', 'hparams', 'custom_scalars'];
const tags = ['a', 'b', 'loss', '_hparams_/experiment', '_hparams_/session_start_info', 'custom_scalars__config__'];
const sizes = [0, 1, 2, 3, -1, 6, 2 ** 31, 2 ** 40];

/**
 * Events that are changed at random, the same for the same seed: in what their bytes mean (another plugin, tag, shape, type
 * or value) and in the bytes themselves.
 */
export function mutations(events: readonly TensorBoardEvent[], seed: number): () => TensorBoardEvent {
  const random = uniform(seed);
  const below = (count: number) => Math.floor(random() * count);
  const one = <T>(list: readonly T[]): T => list[below(list.length)];

  function mutateBytes(bytes: Uint8Array): Uint8Array {
    let list = [...bytes];
    for (let changes = below(4); changes > 0; changes--) {
      const at = below(Math.min(list.length, 200) + 1);
      const part = list.slice(at, at + 1 + below(12));
      const kind = below(6);
      if (kind === 0) list[at] = below(256);
      else if (kind === 1) list[at] ^= 1 << below(8);
      else if (kind === 2) list.splice(at, 1 + below(3));
      else if (kind === 3) list.splice(at, 0, ...part);
      else if (kind === 4)
        list.splice(
          at,
          0,
          ...one([
            [0xff],
            [0xed, 0xa0, 0xbd],
            Array(9)
              .fill(0xff)
              .concat(one([1, 2, 127])),
          ]),
        );
      else list = list.slice(0, at + below(list.length));
    }
    return Uint8Array.from(list);
  }

  function mutateMeaning(raw: Uint8Array): Uint8Array {
    const value = decodeMessage(tb.Summary.Value, raw);
    const { metadata, tensor } = value;
    const changes: (() => void)[] = [
      () => (value.tag = one(tags)),
      () => (value.metadata = undefined),
      () => (value.tensor = undefined),
      () => (value.histo = { min: 0, max: 1, bucketLimit: [1, 2].slice(below(3)), bucket: [1, 2].slice(below(3)) }),
      () => (value.image = { width: below(9), height: -1, encodedImageString: mutateBytes(Uint8Array.of(1, 2, 3)) }),
      () => (value.audio = { encodedAudioString: new Uint8Array(below(9)), contentType: 'audio/x' }),
      () => (value.simpleValue = one([0, 1, Number.NaN, Infinity])),
      () => (value.nodeName = one(tags)),
      () => (value.obsoleteOldStyleHistogram = new Uint8Array(2)),
    ];
    if (metadata) {
      changes.push(
        () => (metadata.dataClass = one<tb.DataClass>([0, 0, 1, 2, 3])),
        () => (metadata.pluginData = { ...metadata.pluginData, pluginName: one(plugins) }),
        () =>
          (metadata.pluginData = {
            ...metadata.pluginData,
            content: mutateBytes(metadata.pluginData?.content ?? new Uint8Array(0)),
          }),
        () => (metadata.displayName = one(['', '\ufffd', 'x'.repeat(200)])),
      );
    }
    if (tensor) {
      changes.push(
        () => (tensor.dtype = below(25)),
        () => (tensor.tensorShape = { dim: Array.from({ length: below(4) }, () => ({ size: one(sizes) })) }),
        () =>
          (tensor.stringVal = [...(tensor.stringVal ?? []), mutateBytes(tensor.stringVal?.[0] ?? Uint8Array.of(9))]),
        () => (tensor.stringVal = []),
        () => (tensor.floatVal = [Number.NaN, 1].slice(below(3))),
        () => (tensor.tensorContent = (tensor.tensorContent ?? new Uint8Array(8)).slice(below(8))),
      );
    }
    for (let count = 1 + below(3); count > 0; count--) one(changes)();
    return encodeMessage(tb.Summary.Value, value);
  }

  const mutateRaw = (raw: Uint8Array) => {
    const meaning = random() < 0.6 ? mutateMeaning(raw) : raw;
    return random() < 0.6 ? mutateBytes(meaning) : meaning;
  };

  return () => {
    const event = one(events);
    const { graph, metaGraph, runMetadata, summary } = event;
    const changed = { ...event, wallTime: below(1e6), step: below(20) - 2 };
    if (summary) changed.summary = summary.map((each) => ({ ...each, raw: mutateRaw(each.raw) }));
    if (graph) changed.graph = mutateBytes(graph);
    if (metaGraph) changed.metaGraph = mutateBytes(metaGraph);
    if (runMetadata)
      changed.runMetadata = { tag: one(['', 'a', runMetadata.tag]), bytes: mutateBytes(runMetadata.bytes) };
    return changed;
  };
}
