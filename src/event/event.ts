/**
 * What a record of an event file holds, once decoded: an event, and in it the summaries, each with its value in the shape
 * that its plugin has. `readEvents` yields these and `addEvent` takes them.
 */

/** A point on the step axis: an integer. A bigint beyond 2^53, where numbers are not exact. */
export type Step = number | bigint;

/** One summary value as a reader sees it, in the same shape whichever writer and version of the format it came from. */
export interface DecodedSummary {
  /** The tag, exactly as it is stored. */
  tag: string;
  /** The plugin's name, which is remembered from the tag's first event in the run ('scalars' for a bare simple_value, ...). */
  plugin: string;
  /** Shown instead of the tag. Absent if this record does not hold one. */
  displayName?: string;
  /** Markdown, shown beside the chart. Absent if this record does not hold one. */
  description?: string;
  /** The value, in the shape that the plugin has; an UndecodedValue if what is stored cannot be read as one. */
  value: SummaryValue;
  /** The bytes of the Summary.Value message, as stored. */
  raw: Uint8Array;
}

/** What one record of an event file holds: a wall time, a step, and at most one of the other members beside `sourceWriter`. */
export interface TensorBoardEvent {
  /** Seconds since 1970-01-01 UTC. */
  wallTime: number;
  /** A number if it is a safe integer, otherwise a bigint. */
  step: Step;
  /** The version of the format, such as 'brain.Event:2', in the first record of a file. */
  fileVersion?: string;
  /** The program that wrote the file, in the first record of a file. */
  sourceWriter?: string;
  /** The state of the session that wrote the file. */
  sessionLog?: {
    /** What happened; a start makes TensorBoard hide the points at this step and later. */
    status: 'start' | 'stop' | 'checkpoint' | 'unspecified';
    /** Where the checkpoint was written. */
    checkpointPath?: string;
    /** A note of the writer. */
    message?: string;
  };
  /** GraphDef bytes, as stored. */
  graph?: Uint8Array;
  /** MetaGraphDef bytes, as stored. */
  metaGraph?: Uint8Array;
  /** The profile of one step of the graph. */
  runMetadata?: {
    /** The name under which TensorBoard lists it. */
    tag: string;
    /** RunMetadata bytes, as stored. */
    bytes: Uint8Array;
  };
  /** A line of a log. */
  logMessage?: {
    /** 0, 10, 20, 30, 40 or 50: unknown, debugging, info, warn, error or fatal. */
    level: number;
    /** The text. */
    message: string;
  };
  /** Summaries of one or more tags. */
  summary?: DecodedSummary[];
}

/** The numbers or strings of a tensor. */
export interface TensorValue {
  /** TensorFlow's name of the type: 'float32', 'float64', 'int32', 'uint8', 'int64', 'bool', 'string', 'complex64', ... */
  dtype: string;
  /** The length of each dimension; [] for a single value. */
  shape: number[];
  /**
   * The elements, row-major: a typed array as long as the product of `shape`, except for strings, which are one
   * Uint8Array each (they may be any bytes). 64-bit integers are BigInt64Array or BigUint64Array, booleans a Uint8Array of
   * 0 and 1, half precision and bfloat16 a Float32Array, quantized types ('qint8', ...) the integers that are stored.
   * Complex numbers are a Float32Array (complex64) or Float64Array (complex128) twice as long as the product of `shape`:
   * the real part of each element and then its imaginary part.
   */
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

/** The value of plugin 'histograms'. */
export interface HistogramValue {
  /** k x 3, row-major: left edge, right edge, count. */
  buckets: Float64Array;
  /** The least value counted. This and the following four are there if the record is a TF1 histogram, which stores them. */
  min?: number;
  /** The greatest value counted. */
  max?: number;
  /** How many values were counted. */
  num?: number;
  /** The sum of the values. */
  sum?: number;
  /** The sum of the squares of the values. */
  sumSquares?: number;
}

/** The value of plugin 'images'. */
export interface ImagesValue {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** One encoded file (PNG, JPEG, GIF) per image. */
  encoded: Uint8Array[];
}

/** The value of plugin 'audio'. */
export interface AudioValue {
  /** One encoded file per clip. */
  encoded: Uint8Array[];
  /** MIME type, if the record holds it; a tag's first event may be the only one that does. */
  contentType?: string;
  /** One label per clip, which TF2's writer stores beside it. */
  labels?: string[];
  /** Frames per second. This and the following two are there if the record is TF1's, which stores them beside the clip. */
  sampleRate?: number;
  /** How many channels the clip has. */
  channels?: number;
  /** The length of the clip in frames. */
  frames?: number;
}

/** The value of plugin 'text'. */
export interface TextValue {
  /** [] for one text, [rows, columns] for a table. */
  shape: number[];
  /** Markdown, row-major. */
  strings: string[];
}

/** The value of plugin 'mesh': one of the tensors of a mesh, with what the tag's first event says of it. */
export interface MeshValue extends TensorValue {
  /** The name of the mesh that the tensor is a part of. */
  mesh: string;
  /** What the tensor holds: the vertices' positions, the faces' vertices, or the vertices' colors. */
  content: 'vertex' | 'face' | 'color';
  /** JSON of the viewer's configuration. */
  config?: string;
}

/** The value of plugin 'hparams': a session's hyperparameters, its end, or the experiment that all sessions belong to. */
export interface HparamsValue extends TensorValue {
  /** The beginning of a session, which is one run. */
  sessionStart?: {
    /** The session's hyperparameters by name. */
    hparams: Record<string, string | number | boolean>;
    /** The name of the session group. */
    name?: string;
    /** Seconds since 1970-01-01 UTC. */
    startTime?: number;
  };
  /** The end of a session. */
  sessionEnd?: {
    /** How the session ended. */
    status: 'unknown' | 'success' | 'failure' | 'running';
    /** Seconds since 1970-01-01 UTC. */
    endTime?: number;
  };
  /** The experiment that the sessions belong to. */
  experiment?: {
    /** The hyperparameters of the experiment. */
    hparams: {
      /** The hyperparameter's name. */
      name: string;
      /** The type of the hyperparameter's values. */
      type: 'unset' | 'string' | 'boolean' | 'number';
      /** Shown instead of the name. */
      displayName?: string;
      /** What the hyperparameter means, as markdown. */
      description?: string;
      /** The values that the hyperparameter may have: a list, or the ends of an interval. */
      domain?:
        | (string | number | boolean)[]
        | {
            /** The least value. */
            min: number;
            /** The greatest value. */
            max: number;
          };
    }[];
    /** Tags of the scalars that are metrics. */
    metrics: string[];
    /** For each of `metrics` its group: the run below a session's in which it is, '' for the session's own. Absent if none has one. */
    metricGroups?: string[];
    /** What is shown of the metrics that have a name or a description, by tag; of those with a group, by `group/tag`. */
    metricTexts?: Record<
      string,
      {
        /** Shown instead of the tag. */
        displayName?: string;
        /** What the metric means, as markdown. */
        description?: string;
      }
    >;
  };
}

/** The value of plugin 'custom_scalars'. */
export interface CustomScalarsValue extends TensorValue {
  /** The layout of the dashboard, as `addCustomScalars` takes it. */
  layout: {
    /** The groups of charts, from top to bottom. */
    categories: {
      /** The heading of the group. */
      title: string;
      /** Whether the group is closed at first. */
      closed?: boolean;
      /** The charts of the group. */
      charts: (
        | {
            /** The heading of the chart. */
            title: string;
            /** Regular expressions for the tags that are drawn as lines. */
            multiline: string[];
          }
        | {
            /** The heading of the chart. */
            title: string;
            /** The lines with margins. */
            margin: {
              /** The tag of the line. */
              value: string;
              /** The tag of the lower end of the margin. */
              lower: string;
              /** The tag of the upper end of the margin. */
              upper: string;
            }[];
          }
      )[];
    }[];
  };
}

/**
 * Stands for a value that could not be decoded, although its record is sound: a tensor whose elements do not fit its shape
 * or its type, a type that has no numbers in JavaScript, a histogram whose lists differ in length. What is stored is in
 * `raw` beside it.
 */
export interface UndecodedValue {
  /** Why the value could not be decoded, in words. */
  undecoded: string;
}

/**
 * A summary's value by plugin: a number for scalars, HistogramValue, ImagesValue, AudioValue and TextValue for histograms,
 * images, audio and text. Anything else, and a value that does not have its plugin's form, is a TensorValue, to which mesh,
 * hparams and custom_scalars add what they keep elsewhere in the record. A summary without any value (hparams as
 * tensorboardX and torch write them) is a TensorValue of shape [0]. A value that cannot be decoded is an UndecodedValue.
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
  | CustomScalarsValue
  | UndecodedValue;
