import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Event files of tensorboardX, torch and by hand, and what Python's protobuf says is in them (golden.json). */
export const goldenFolder = fileURLToPath(new URL('../fixtures/events', import.meta.url));

export interface GoldenValue {
  tag?: string;
  simple_value?: number | string;
  image?: { height: number; width: number; encoded_image_string: string };
  histo?: {
    min?: number;
    max?: number;
    num?: number;
    sum?: number;
    sum_squares?: number;
    bucket_limit?: number[];
    bucket?: number[];
  };
  audio?: {
    encoded_audio_string: string;
    content_type: string;
    sample_rate: number;
    num_channels: string;
    length_frames: string;
  };
  tensor?: {
    dtype: string;
    tensor_shape?: { dim?: { size?: string }[] };
    tensor_content?: string;
    float_val?: number[];
    double_val?: number[];
    int64_val?: string[];
    string_val?: string[];
  };
  metadata?: {
    plugin_data?: { plugin_name?: string; content?: string };
    display_name?: string;
    summary_description?: string;
  };
}

export interface GoldenEvent {
  wall_time: number;
  step?: string;
  file_version?: string;
  graph_def?: string;
  source_metadata?: { writer: string };
  session_log?: { status: string };
  tagged_run_metadata?: { tag: string; run_metadata: string };
  summary?: { value?: GoldenValue[] };
}

export interface GoldenFile {
  path: string;
  size: number;
  records: { offset: number; length: number; event: GoldenEvent }[];
}

export const goldenFiles = (
  JSON.parse(readFileSync(join(goldenFolder, 'golden.json'), 'utf8')) as { files: GoldenFile[] }
).files;

/** The bytes of a golden file. */
export function goldenBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(goldenFolder, path)));
}
