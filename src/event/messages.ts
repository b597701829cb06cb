/**
 * Every message that TensorBoard decodes of an event, and a check that bytes are such a message for both of its parsers:
 * that of the Rust loader (prost), and that of the Python loader and of all dashboards (upb). What one of them refuses
 * stops its loader or a dashboard.
 */
import { readUtf8 } from '../encoding/protobuf.js';

/**
 * The fields of each message. A field is its number and what it holds: `v` a varint, `d` 64 bits, `f` 32 bits, `s` text,
 * `b` bytes, `:Name` a message, `{…}` a map by the kinds of its keys and values. `*` means repeated; numbers may then be
 * packed. Names are those of TensorBoard's protos without the package 'tensorboard'.
 * Source: https://github.com/tensorflow/tensorboard/tree/2.21.0/tensorboard/compat/proto and plugins/<name>/plugin_data.proto
 */
const messages = {
  'Summary.Value': '1s 2f 3b 4:Summary.Image 5:HistogramProto 6:Summary.Audio 7s 8:TensorProto 9:SummaryMetadata',
  'Summary.Image': '1v 2v 3v 4b',
  HistogramProto: '1d 2d 3d 4d 5d 6d* 7d*',
  'Summary.Audio': '1f 2v 3v 4b 5s',
  TensorProto:
    '1v 2:TensorShapeProto 3v 4b 5f* 6d* 7v* 8b* 9f* 10v* 11v* 12d* 13v* 14:ResourceHandleProto* 15:VariantTensorDataProto* 16v* 17v* 18b',
  TensorShapeProto: '2:TensorShapeProto.Dim* 3v',
  'TensorShapeProto.Dim': '1v 2s',
  ResourceHandleProto: '1s 2s 3s 4v 5s 6:ResourceHandleProto.DtypeAndShape*',
  'ResourceHandleProto.DtypeAndShape': '1v 2:TensorShapeProto',
  VariantTensorDataProto: '1s 2b 3:TensorProto*',
  SummaryMetadata: '1:SummaryMetadata.PluginData 2s 3s 4v',
  'SummaryMetadata.PluginData': '1s 2b',
  MetaGraphDef:
    '1:MetaGraphDef.MetaInfoDef 2:GraphDef 3:SaverDef 4{s:CollectionDef} 5{s:SignatureDef} 6:AssetFileDef* 7:SavedObjectGraph',
  'MetaGraphDef.MetaInfoDef': '1s 2:OpList 3:google.protobuf.Any 4s* 5s 6s 7v 8{ss}',
  OpList: '1:OpDef*',
  OpDef: '1s 2:OpDef.ArgDef* 3:OpDef.ArgDef* 4:OpDef.AttrDef* 5s 6s 8:OpDeprecation 16v 17v 18v 19v 20s* 21v',
  'OpDef.ArgDef': '1s 2s 3v 4s 5s 6s 7:ResourceHandleProto.DtypeAndShape* 16v 17:FullTypeDef',
  FullTypeDef: '1v 2:FullTypeDef* 3s 4v',
  'OpDef.AttrDef': '1s 2s 3:AttrValue 4s 5v 6v 7:AttrValue',
  AttrValue: '1:AttrValue.ListValue 2b 3v 4f 5v 6v 7:TensorShapeProto 8:TensorProto 9s 10:NameAttrList',
  'AttrValue.ListValue': '2b* 3v* 4f* 5v* 6v* 7:TensorShapeProto* 8:TensorProto* 9:NameAttrList*',
  NameAttrList: '1s 2{s:AttrValue}',
  OpDeprecation: '1v 2s',
  'google.protobuf.Any': '1s 2b',
  GraphDef: '1:NodeDef* 2:FunctionDefLibrary 3v 4:VersionDef 5:GraphDebugInfo',
  NodeDef: '1s 2s 3s* 4s 5{s:AttrValue} 6:NodeDef.ExperimentalDebugInfo 7:FullTypeDef',
  'NodeDef.ExperimentalDebugInfo': '1s* 2s*',
  FunctionDefLibrary: '1:FunctionDef* 2:GradientDef* 3:RegisteredGradient*',
  FunctionDef: '1:OpDef 3:NodeDef* 4{ss} 5{s:AttrValue} 6{ss} 7{v:FunctionDef.ArgAttrs} 8{vv}',
  'FunctionDef.ArgAttrs': '1{s:AttrValue}',
  GradientDef: '1s 2s',
  RegisteredGradient: '1s 2s',
  VersionDef: '1v 2v 3v*',
  GraphDebugInfo:
    '1s* 2{s:GraphDebugInfo.StackTrace} 4{d:GraphDebugInfo.FileLineCol} 5{sd} 6{d:GraphDebugInfo.StackTrace}',
  'GraphDebugInfo.StackTrace': '1:GraphDebugInfo.FileLineCol* 2d*',
  'GraphDebugInfo.FileLineCol': '1v 2v 3v 4s 5s',
  SaverDef: '1s 2s 3s 4v 5v 6f 7v',
  CollectionDef:
    '1:CollectionDef.NodeList 2:CollectionDef.BytesList 3:CollectionDef.Int64List 4:CollectionDef.FloatList 5:CollectionDef.AnyList',
  'CollectionDef.NodeList': '1s*',
  'CollectionDef.BytesList': '1b*',
  'CollectionDef.Int64List': '1v*',
  'CollectionDef.FloatList': '1f*',
  'CollectionDef.AnyList': '1:google.protobuf.Any*',
  SignatureDef: '1{s:TensorInfo} 2{s:TensorInfo} 3s 4{s:TensorProto}',
  TensorInfo: '1s 2v 3:TensorShapeProto 4:TensorInfo.CooSparse 5:TensorInfo.CompositeTensor',
  'TensorInfo.CooSparse': '1s 2s 3s',
  'TensorInfo.CompositeTensor': '1:TypeSpecProto 2:TensorInfo*',
  TypeSpecProto: '1v 2:StructuredValue 3s 4v',
  StructuredValue:
    '1:NoneValue 11d 12v 13s 14v 31:TensorShapeProto 32v 33:TensorSpecProto 34:TypeSpecProto 35:BoundedTensorSpecProto 51:ListValue 52:TupleValue 53:DictValue 54:NamedTupleValue 55:TensorProto 56:TensorProto',
  NoneValue: '',
  TensorSpecProto: '1s 2:TensorShapeProto 3v',
  BoundedTensorSpecProto: '1s 2:TensorShapeProto 3v 4:TensorProto 5:TensorProto',
  ListValue: '1:StructuredValue*',
  TupleValue: '1:StructuredValue*',
  DictValue: '1{s:StructuredValue}',
  NamedTupleValue: '1s 2:PairValue*',
  PairValue: '1s 2:StructuredValue',
  AssetFileDef: '1:TensorInfo 2s',
  SavedObjectGraph: '1:SavedObject* 2{s:SavedConcreteFunction}',
  SavedObject:
    '1:TrackableObjectGraph.TrackableObject.ObjectReference* 3:TrackableObjectGraph.TrackableObject.SlotVariableReference* 4:SavedUserObject 5:SavedAsset 6:SavedFunction 7:SavedVariable 8:SavedBareConcreteFunction 9:SavedConstant 10:SavedResource 11{s:SaveableObject} 12:CapturedTensor 13s 14:google.protobuf.Any 15:TrackableObjectGraph.TrackableObject.ObjectReference* 16s',
  'TrackableObjectGraph.TrackableObject.ObjectReference': '1v 2s',
  'TrackableObjectGraph.TrackableObject.SlotVariableReference': '1v 2s 3v',
  SavedUserObject: '1s 2:VersionDef 3s',
  SavedAsset: '1v',
  SavedFunction: '1s* 2:FunctionSpec',
  FunctionSpec: '1:StructuredValue 2v 5:StructuredValue 6v',
  SavedVariable: '1v 2:TensorShapeProto 3v 4v 5v 6s 7s 8:SavedVariable*',
  SavedBareConcreteFunction: '1s 2s* 3v 4:FunctionSpec',
  SavedConstant: '1s',
  SavedResource: '1s',
  SaveableObject: '2v 3v',
  CapturedTensor: '1s 2s',
  SavedConcreteFunction: '2v* 3:StructuredValue 4:StructuredValue',
  RunMetadata: '1:StepStats 2:CostGraphDef 3:GraphDef* 4:RunMetadata.FunctionGraphs* 5:SessionMetadata',
  StepStats: '1:DeviceStepStats*',
  DeviceStepStats: '1s 2:NodeExecStats* 3{vs}',
  NodeExecStats:
    '1s 2v 3v 4v 5v 6:AllocatorMemoryUsed* 7:NodeOutput* 8s 9v 10v 11:AllocationDescription* 12:MemoryStats 13v 14v 15v 16v 17v',
  AllocatorMemoryUsed: '1s 2v 3v 4v 5v 6:AllocationRecord*',
  AllocationRecord: '1v 2v',
  NodeOutput: '1v 3:TensorDescription',
  TensorDescription: '1v 2:TensorShapeProto 4:AllocationDescription',
  AllocationDescription: '1v 2v 3s 4v 5v 6v',
  MemoryStats: '1v 2v 3v 4v 5v* 6v*',
  CostGraphDef: '1:CostGraphDef.Node* 2:CostGraphDef.AggregatedCost*',
  'CostGraphDef.Node':
    '1s 2s 3v 4:CostGraphDef.Node.InputInfo* 5:CostGraphDef.Node.OutputInfo* 6v 7v 8v* 9v 10v 11v 12v 14v 15v 16v 17v',
  'CostGraphDef.Node.InputInfo': '1v 2v',
  'CostGraphDef.Node.OutputInfo': '1v 2v 3:TensorShapeProto 4v',
  'CostGraphDef.AggregatedCost': '1f 2s',
  'RunMetadata.FunctionGraphs': '1:GraphDef* 2:GraphDef 3:GraphDef',
  SessionMetadata: '1s 2v',
  ScalarPluginData: '1v',
  HistogramPluginData: '1v',
  ImagePluginData: '1v 2v',
  AudioPluginData: '1v 2v 3v',
  TextPluginData: '1v',
  PrCurvePluginData: '1v 2v',
  'mesh.MeshPluginData': '1v 2s 3v 5s 6v* 7v',
  'hparams.HParamsPluginData': '1v 2:hparams.Experiment 3:hparams.SessionStartInfo 4:hparams.SessionEndInfo',
  'hparams.Experiment': '1s 2s 3d 4:hparams.HParamInfo* 5:hparams.MetricInfo* 6s',
  'hparams.HParamInfo': '1s 2s 3s 4v 5:google.protobuf.ListValue 6:hparams.Interval 7v',
  'google.protobuf.ListValue': '1:google.protobuf.Value*',
  'google.protobuf.Value': '1v 2d 3s 4v 5:google.protobuf.Struct 6:google.protobuf.ListValue',
  'google.protobuf.Struct': '1{s:google.protobuf.Value}',
  'hparams.Interval': '1d 2d',
  'hparams.MetricInfo': '1:hparams.MetricName 3s 4s 5v',
  'hparams.MetricName': '1s 2s',
  'hparams.SessionStartInfo': '1{s:google.protobuf.Value} 2s 3s 4s 5d',
  'hparams.SessionEndInfo': '1v 2d',
  Layout: '1v 2:Category*',
  Category: '1s 2:Chart* 3v',
  Chart: '1s 2:MultilineChartContent 3:MarginChartContent',
  MultilineChartContent: '1s*',
  MarginChartContent: '1:MarginChartContent.Series*',
  'MarginChartContent.Series': '1s 2s 3s',
} as const satisfies Record<string, string>;

/** The name of a message that can be checked. */
export type MessageName = keyof typeof messages;

/** How a field is stored. */
type Kind = 'v' | 'd' | 'f' | 's' | 'b';

interface Field {
  /** How a field that holds no message is stored. */
  readonly kind: Kind;
  /** The message that the field holds. */
  readonly message?: Message;
  readonly repeated: boolean;
}

interface Message {
  readonly name: string;
  readonly fields: Map<number, Field>;
}

const wireTypes: Record<Kind, number> = { v: 0, d: 1, s: 2, b: 2, f: 5 };
const kindNames: Record<Kind, string> = { v: 'varint', d: '64 bits', f: '32 bits', s: 'text', b: 'bytes' };
/** TensorBoard's parsers take messages nested up to 100 deep, counted from the event. */
const maxDepth = 64;

const parsed = new Map<string, Message>();

/** The fields of a message, parsed from the table when they are first asked for. */
function fieldsOf(name: string): Message {
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const message: Message = { name, fields: new Map() };
  parsed.set(name, message); // before its fields: messages may hold each other
  for (const text of messages[name as MessageName].split(' ')) {
    const [, number, entry, kind, star] = /^(\d+)(?:\{(.*)\}|([^*]*)(\*?))$/.exec(text) ?? [];
    if (number === undefined) continue; // a message without fields
    message.fields.set(Number(number), entry === undefined ? fieldOf(kind, star === '*') : mapOf(name, entry));
  }
  return message;
}

function fieldOf(kind: string, repeated: boolean): Field {
  if (kind[0] !== ':') return { kind: kind as Kind, repeated };
  return { kind: 'b', message: fieldsOf(kind.slice(1)), repeated };
}

/** A map is stored as repeated messages of a key and a value. */
function mapOf(name: string, entry: string): Field {
  const fields = new Map([
    [1, fieldOf(entry[0], false)],
    [2, fieldOf(entry.slice(1), false)],
  ]);
  return { kind: 'b', message: { name: `${name}'s map`, fields }, repeated: true };
}

/**
 * Checks that bytes are a message that all of TensorBoard's parsers accept: well-formed to the last byte, known fields
 * stored as what they are, text in UTF-8, and nothing that some of them read differently.
 *
 * @throws RangeError that names the field
 */
export function checkMessage(name: MessageName, bytes: Uint8Array): void {
  new MessageChecker(bytes).check(fieldsOf(name), bytes.length, 0);
}

/** A cursor over the bytes of a message. */
class MessageChecker {
  readonly #bytes: Uint8Array;
  #position = 0;
  /** The field that is being checked, for errors. */
  #message = '';
  #number = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Checks the message that ends at `end`. */
  check({ name, fields }: Message, end: number, depth: number): void {
    if (depth > maxDepth) throw new RangeError(`messages are nested more than ${maxDepth} deep`);
    let single: Set<number> | undefined;
    while (this.#position < end) {
      this.#message = name;
      this.#number = 0;
      const key = this.#varint(end, 5);
      const number = (this.#number = Math.floor(key / 8));
      if (number === 0 || key >= 2 ** 32) throw this.#error('has no valid number');
      const field = fields.get(number);
      if (field?.message === undefined) {
        this.#checkValue(field, key % 8, end);
        continue;
      }
      if (key % 8 !== wireTypes.b) throw this.#error('is not stored as a message');
      if (!field.repeated) {
        // Some parsers merge messages that come twice, others take the last one.
        if (single?.has(number)) throw this.#error('comes twice');
        (single ??= new Set()).add(number);
      }
      this.check(field.message, this.#range(end), depth + 1);
    }
  }

  /** Checks a field that holds no message; undefined if the field is unknown. */
  #checkValue(field: Field | undefined, wireType: number, end: number): void {
    if (field === undefined) {
      this.#skip(wireType, end);
    } else if (field.kind === 's' && wireType === wireTypes.s) {
      const textEnd = this.#range(end);
      this.#checkText(textEnd);
      this.#position = textEnd;
    } else if (wireType === wireTypes[field.kind]) {
      this.#skip(wireType, end);
    } else if (wireType === 2 && field.repeated) {
      // Repeated numbers may be packed.
      const packedEnd = this.#range(end);
      while (this.#position < packedEnd) this.#skip(wireTypes[field.kind], packedEnd);
    } else {
      throw this.#error(`is not stored as ${kindNames[field.kind]}`);
    }
  }

  #checkText(end: number): void {
    try {
      readUtf8(this.#bytes, this.#position, end);
    } catch {
      throw this.#error('is not UTF-8');
    }
  }

  #skip(wireType: number, end: number): void {
    if (wireType === 0) this.#varint(end, 10);
    else if (wireType === 1) this.#advance(8, end);
    else if (wireType === 2) this.#position = this.#range(end);
    else if (wireType === 5) this.#advance(4, end);
    else throw this.#error(`has the wire type ${wireType}`); // 3 and 4 are groups, which TensorBoard's messages do not have
  }

  /** Reads a length; returns where the contents that follow it end. */
  #range(end: number): number {
    const length = this.#varint(end, 5);
    if (length > end - this.#position) throw this.#error('runs past the end');
    return this.#position + length;
  }

  #advance(length: number, end: number): void {
    if (length > end - this.#position) throw this.#error('runs past the end');
    this.#position += length;
  }

  /** Reads a varint; exact below 2^53. */
  #varint(end: number, maxLength: number): number {
    const bytes = this.#bytes;
    let value = 0;
    for (let length = 0, scale = 1; length < maxLength && this.#position < end; length++, scale *= 128) {
      const byte = bytes[this.#position++];
      value += (byte & 0x7f) * scale;
      // A tenth byte has one bit left: more is cut off by upb and refused by prost.
      if (byte < 0x80 && (length < 9 || byte <= 1)) return value;
    }
    throw this.#error('has a number that is cut off or too long');
  }

  #error(problem: string): RangeError {
    const field = this.#number === 0 ? 'a field' : `field ${this.#number}`;
    return new RangeError(`${field} of ${this.#message} ${problem}`);
  }
}
