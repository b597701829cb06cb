/**
 * What `addEvent` asks of summaries beyond well-formed bytes. A dashboard that cannot read one summary may show nothing of
 * the whole logdir, and one form of audio stops the Python loader; such summaries are refused. A summary that only its own
 * tag suffers from is accepted, so that what was read from a file can be written back.
 * Source: tensorboard/{data_compat,dataclass_compat}.py and tensorboard/backend/event_processing/data_provider.py
 */
import { decodeMessage } from '../encoding/message-codec.js';
import { WireReader } from '../encoding/protobuf.js';
import { harmful, type StoredSummary } from '../event/check-event.js';
import type { SummaryValue, TensorValue } from '../event/event.js';
import { checkMessage, type MessageName } from '../event/messages.js';
import { tensorboard } from '../proto/tensorboard.js';
import { checkLayout } from './custom-scalars.js';
import { decodeHistogram } from './histogram.js';
import { checkHparams } from './hparams.js';
import { checkMesh } from './mesh.js';
import { pluginByField, plugins } from './plugins.js';
import { checkCounts } from './pr-curve.js';
import { decodeScalar } from './scalar.js';
import { decodeTensor, textOf } from './tensor.js';

/** What the dashboard of a plugin needs so that it shows other tags and runs, too. */
interface Demands {
  /** The message in `plugin_data.content` that the dashboard decodes, if it decodes one. */
  readonly content?: MessageName;
  /** Throws if a well-formed content would keep the dashboard from showing other tags. */
  readonly checkContent?: (content: Uint8Array, tag: string) => void;
  /** Throws if a tensor of the plugin would keep the dashboard from showing other tags or runs. */
  readonly checkTensor?: (tensor: TensorValue, tag: string) => void;
}

/** A check that a tensor has the plugin's form, for dashboards that ask for a tag of all runs at once. */
function checkForm(decode: (tensor: TensorValue) => SummaryValue | undefined, form: string): Demands['checkTensor'] {
  return (tensor) => {
    if (decode(tensor) !== undefined) return;
    throw new RangeError(`expected ${form}, got a ${tensor.dtype} tensor of the shape [${tensor.shape.join(', ')}]`);
  };
}

/** The demands of the plugins that have some. */
const demands: ReadonlyMap<string, Demands> = new Map<string, Demands>([
  ['scalars', { content: 'ScalarPluginData', checkTensor: checkForm(decodeScalar, 'one number') }],
  ['images', { content: 'ImagePluginData' }],
  ['histograms', { content: 'HistogramPluginData', checkTensor: checkForm(decodeHistogram, 'k x 3 numbers') }],
  ['audio', { content: 'AudioPluginData' }],
  ['text', { content: 'TextPluginData' }],
  ['pr_curves', { content: 'PrCurvePluginData', checkTensor: checkCounts }],
  ['mesh', { content: 'mesh.MeshPluginData', checkContent: checkMesh }],
  ['hparams', { content: 'hparams.HParamsPluginData', checkContent: checkHparams }],
  ['custom_scalars', { checkTensor: checkLayout }],
]);

/** What the first summary of a tag says about all of them. */
interface TagKind {
  readonly plugin: string;
  /** 0 if it names none. */
  readonly dataClass: number;
}

/** The kind of a tag whose first summary said nothing. */
const undescribed: TagKind = { plugin: '', dataClass: 0 };
const tensorField = 8;
/** A tensor may store one value for all its elements, and TensorBoard allocates all of them. */
const maxUnstored = 2 ** 20;

/** Checks the summaries of one run. */
export class SummaryChecker {
  readonly #metadataOf: (tag: string) => tensorboard.ISummaryMetadata | undefined;
  /** Kinds of tags that this has seen. */
  readonly #kinds = new Map<string, TagKind>();

  /** @param metadataOf finds what the run's file says of a tag */
  constructor(metadataOf: (tag: string) => tensorboard.ISummaryMetadata | undefined) {
    this.#metadataOf = metadataOf;
  }

  /**
   * Checks the summaries of one event, and remembers the kinds of their tags.
   *
   * @throws TypeError if one of them would stop a loader or a dashboard
   */
  check(summaries: readonly StoredSummary[]): void {
    const kinds = new Map<string, TagKind>();
    for (const summary of summaries) {
      const { tag } = summary;
      const known = kinds.get(tag) ?? this.#kinds.get(tag) ?? kindOf(this.#metadataOf(tag));
      const own = ownKind(summary);
      if (known === undefined) kinds.set(tag, own ?? undescribed);
      try {
        checkSummary(summary, own, known ?? own);
      } catch (cause) {
        throw harmful(tag, cause);
      }
    }
    for (const [tag, kind] of kinds) this.#kinds.set(tag, kind);
  }
}

function kindOf(metadata: tensorboard.ISummaryMetadata | undefined): TagKind | undefined {
  if (metadata === undefined) return undefined;
  return { plugin: metadata.pluginData?.pluginName ?? '', dataClass: metadata.dataClass ?? 0 };
}

/** What a summary says of its tag; TensorBoard ignores the metadata of v1 values. */
function ownKind({ metadata, field }: StoredSummary): TagKind | undefined {
  const v1 = pluginByField[field];
  return v1 === undefined ? kindOf(metadata) : { plugin: v1, dataClass: 0 };
}

function checkSummary(summary: StoredSummary, own: TagKind | undefined, kind: TagKind | undefined): void {
  const { tag, metadata, field, bytes } = summary;
  const v1 = pluginByField[field];
  if (metadata !== undefined) checkContent(metadata, tag);
  if (kind === undescribed && own !== undefined && checkTensorOf(own) !== undefined) {
    // The Python loader would show the earlier ones as well, whatever they are.
    throw new RangeError(`it describes a tag, as one of '${own.plugin}', of which there are summaries already`);
  }
  if (v1 !== undefined) {
    // With a data class, the Rust loader believes the metadata, and the Python loader the value.
    if (metadata?.dataClass && metadata.pluginData?.pluginName !== v1) {
      throw new RangeError(`a value of '${v1}' described as one of '${metadata.pluginData?.pluginName}'`);
    }
    plugins.get(v1)?.decodeField?.(bytes);
    if (kind !== undefined && kind.plugin !== v1 && checkTensorOf(kind) !== undefined) {
      throw new RangeError(`a value of '${v1}' under a tag of '${kind.plugin}'`);
    }
  } else if (field === tensorField) {
    checkTensor(bytes, tag, kind);
  } else if (kind !== undefined && checkTensorOf(kind) !== undefined) {
    // The Rust loader takes it for an empty tensor.
    throw new RangeError(`a summary under a tag of '${kind.plugin}' that holds no value`);
  } else if (own !== undefined && isListed(own) && !(own.plugin === 'hparams' && own.dataClass === 0)) {
    // The Python loader lists a tag of which there is no tensor, and fails to find its steps.
    throw new RangeError(`it describes a tag of '${own.plugin}' and holds no value`);
  }
}

function isListed({ plugin, dataClass }: TagKind): boolean {
  return dataClass !== 0 || plugins.has(plugin);
}

function checkContent({ pluginData }: tensorboard.ISummaryMetadata, tag: string): void {
  const name = pluginData?.pluginName ?? '';
  const content = pluginData?.content ?? new Uint8Array(0);
  const plugin = demands.get(name);
  // Early versions of these two plugins kept JSON there.
  const isJson = (name === 'histograms' || name === 'text') && textOf(content) === '{}';
  if (plugin?.content === undefined || isJson) return;
  checkMessage(plugin.content, content);
  plugin.checkContent?.(content, tag);
}

/** @param kind what the tag's first summary says, which counts for all of them */
function checkTensor(bytes: Uint8Array, tag: string, kind: TagKind | undefined): void {
  const lengths = lengthsOf(bytes);
  const elements = lengths.reduce((product, length) => product * Math.abs(length), 1);
  if (elements > Math.max(maxUnstored, bytes.length)) {
    throw new RangeError(`a tensor that claims ${elements} elements in ${bytes.length} bytes`);
  }
  if (kind?.plugin === 'audio' && kind.dataClass === 0 && lengths.indexOf(0, 1) > 0) {
    // The Python loader takes every n-th string, by the product of these lengths.
    throw new RangeError(`audio of the shape [${lengths.join(', ')}]`);
  }
  if (kind !== undefined) checkTensorOf(kind)?.(decodeTensor(bytes), tag);
}

/** The check of the plugin that shows a tag; undefined if none shows it, or it has no check. */
function checkTensorOf({ plugin, dataClass }: TagKind): Demands['checkTensor'] {
  const row = plugins.get(plugin);
  const isShown = row !== undefined && (dataClass || row.dataClass) === row.dataClass;
  return isShown ? demands.get(plugin)?.checkTensor : undefined;
}

/** The lengths of a tensor's dimensions, as they are stored. */
function lengthsOf(bytes: Uint8Array): number[] {
  const wire = new WireReader();
  wire.open(bytes, 0, bytes.length);
  while (wire.field()) {
    const isShape = wire.number === 2;
    wire.skip();
    if (!isShape) continue;
    const { dim } = decodeMessage(tensorboard.TensorShapeProto, bytes.subarray(wire.rangeStart, wire.rangeEnd));
    return dim.map(({ size }) => Number(size ?? 0));
  }
  return [];
}
