import { readFileSync } from 'node:fs';

/** What TensorBoard's own Python package encodes: written by test/fixtures/summaries/generate.py. */
interface Reference {
  histograms: { name: string; data: number[]; buckets: number; rows: number[] }[];
  pr_curves: {
    name: string;
    thresholds: number;
    labels: number[];
    predictions: number[];
    weights: number[] | null;
    rows: number[];
    content: string;
  }[];
  /** Labels as bytes, the rest as float32, all in base64. */
  float32_pr_curves: {
    name: string;
    thresholds: number;
    labels: string;
    predictions: string;
    weights: string | null;
    rows: string;
  }[];
  hparams: {
    values: Record<string, string | number | boolean>;
    start: Record<string, string>;
    experiment: Record<string, string>;
    displayed: Record<string, string>;
  };
  mesh: Record<string, string>;
  layout: string;
  text: Record<'one' | 'column' | 'table', string>;
  audio: string;
}

export const reference: Reference = JSON.parse(readFileSync('test/fixtures/summaries/summaries.json', 'utf8'));

export const base64 = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64');

export const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));

/** The numbers in a TensorProto's tensor_content. */
export const doublesOf = (bytes: Uint8Array) => Array.from(new Float64Array(bytes.slice().buffer));
export const floatsOf = (bytes: Uint8Array) => Array.from(new Float32Array(bytes.slice().buffer));
