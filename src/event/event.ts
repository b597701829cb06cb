/** A point on the step axis: an integer; bigint where it is beyond 2^53. */
export type Step = number | bigint;

/** One summary value as a reader sees it, the same shape whichever writer and proto version it came from. */
export interface DecodedSummary {
  /** The tag verbatim. */
  tag: string;
  /** Plugin name, remembered from the tag's first event in the file ('scalars' for a bare simple_value, ...). */
  plugin: string;
  displayName?: string;
  description?: string;
  value: SummaryValue;
  /** The undecoded Summary.Value message. */
  raw: Uint8Array;
}

/** What one record of an event file holds. */
export interface TensorBoardEvent {
  /** Seconds since the epoch. */
  wallTime: number;
  /** A number where it is a safe integer, else a bigint. */
  step: Step;
  fileVersion?: string;
  sourceWriter?: string;
  sessionLog?: { status: 'start' | 'stop' | 'checkpoint' | 'unspecified'; checkpointPath?: string; message?: string };
  /** GraphDef bytes, as stored. */
  graph?: Uint8Array;
  /** MetaGraphDef bytes, as stored. */
  metaGraph?: Uint8Array;
  /** RunMetadata bytes of one profiled step of the graph, as stored, under the tag TensorBoard lists them by. */
  runMetadata?: { tag: string; bytes: Uint8Array };
  /** LogMessage; level is 0, 10, 20, 30, 40 or 50 (unknown, debugging, info, warn, error, fatal). */
  logMessage?: { level: number; message: string };
  summary?: DecodedSummary[];
}

/**
 * The numbers or strings of a tensor, row-major. `data` is a typed array as long as the product of `shape`, except for
 * strings, which are one Uint8Array each (they may be any bytes).
 *
 * 64-bit integers are BigInt64Array or BigUint64Array, booleans a Uint8Array of 0 and 1, half precision and bfloat16 a
 * Float32Array. Of any other type `data` holds the stored bytes.
 */
export interface TensorValue {
  /** TensorFlow's name of the type: 'float32', 'float64', 'int32', 'uint8', 'int64', 'bool', 'string', ... */
  dtype: string;
  /** [] for a single value. */
  shape: number[];
  data:
    | Float32Array
    | Float64Array
    | Int8Array
    | Uint8Array
    | Int16Array
    | Uint16Array
    | Int32Array
    | Uint32Array
    | BigInt64Array
    | BigUint64Array
    | Uint8Array[];
}

/** Plugin 'histograms'. */
export interface HistogramValue {
  /** k x 3, row-major: left edge, right edge, count. */
  buckets: Float64Array;
}

/** Plugin 'images'. */
export interface ImagesValue {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** One encoded file (PNG, JPEG, GIF) per image. */
  encoded: Uint8Array[];
}

/** Plugin 'audio'. */
export interface AudioValue {
  /** One encoded file per clip. */
  encoded: Uint8Array[];
  /** MIME type, where the record tells it; it may be told by a tag's first event only. */
  contentType?: string;
  /** What TF2's writer stores beside each clip. */
  labels?: string[];
}

/** Plugin 'text'. */
export interface TextValue {
  /** [] for one text, [rows, columns] for a table. */
  shape: number[];
  /** Markdown, row-major. */
  strings: string[];
}

/** Plugin 'mesh': one of the tensors of a mesh, with what the tag's first event says of it. */
export interface MeshValue extends TensorValue {
  /** The mesh that the tensor is a part of. */
  mesh: string;
  content: 'vertex' | 'face' | 'color';
  /** JSON of the viewer's configuration. */
  config?: string;
}

/** Plugin 'hparams': a session's hyperparameters, its end, or the experiment all sessions belong to. */
export interface HparamsValue extends TensorValue {
  sessionStart?: { hparams: Record<string, string | number | boolean>; name?: string; startTime?: number };
  sessionEnd?: { status: 'unknown' | 'success' | 'failure' | 'running'; endTime?: number };
  experiment?: {
    hparams: {
      name: string;
      type: 'unset' | 'string' | 'boolean' | 'number';
      domain?: (string | number | boolean)[] | { min: number; max: number };
    }[];
    /** Tags of the scalars that are metrics. */
    metrics: string[];
  };
}

/** Plugin 'custom_scalars': the layout of its dashboard, as `addCustomScalars` takes it. */
export interface CustomScalarsValue extends TensorValue {
  layout: {
    categories: {
      title: string;
      closed?: boolean;
      charts: (
        | { title: string; multiline: string[] }
        | { title: string; margin: { value: string; lower: string; upper: string }[] }
      )[];
    }[];
  };
}

/**
 * By plugin: scalars number, histograms HistogramValue, images ImagesValue, audio AudioValue, text TextValue; anything
 * else, and what does not have its plugin's form, TensorValue, to which mesh, hparams and custom_scalars add what they
 * keep elsewhere in the record. A summary without any value (hparams as tensorboardX and torch write them) is a
 * TensorValue of shape [0].
 */
export type SummaryValue =
  | number
  | HistogramValue
  | ImagesValue
  | AudioValue
  | TextValue
  | TensorValue
  | MeshValue
  | HparamsValue
  | CustomScalarsValue;
