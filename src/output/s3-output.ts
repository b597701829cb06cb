/** The Outputs of buckets: options to a store and an Output on it, on a thread where there are threads. */
import { files } from '#platform';
import { checkOptionNames, type OptionNames } from '../errors.js';
import {
  checkObjectOutputOptions,
  ObjectOutput,
  type ObjectOutputOptions,
  objectOutputNames,
} from './object-output.js';
import { checkPrefix } from './object-store.js';
import type { Output } from './output.js';
import {
  type GcsStoreOptions,
  gcsNames,
  HttpStore,
  resolvedOptions,
  type S3StoreOptions,
  s3Names,
} from './s3-store.js';
import { openOnThread } from './upload-thread.js';

/** Where `s3Output` writes, and how. */
export interface S3OutputOptions extends S3StoreOptions, ObjectOutputOptions {}

/** Where `gcsOutput` writes, and how. */
export interface GcsOutputOptions extends GcsStoreOptions, ObjectOutputOptions {}

/** The Output of a run in a bucket. */
export interface BucketOutput extends Output {
  /** Where it is, as TensorBoard takes it: with a slash at its end, without which TensorBoard finds nothing in a bucket. */
  readonly url: string;
  /** A command that shows it. It reads anew once a minute only, since every look costs requests. */
  readonly tensorboardCommand: string;
}

const s3OutputNames: OptionNames<S3OutputOptions> = { ...s3Names, ...objectOutputNames };
const gcsOutputNames: OptionNames<GcsOutputOptions> = { ...gcsNames, ...objectOutputNames };

/**
 * The Output of a run in an S3 bucket: `new SummaryWriter(s3Output({ bucket: 'logs', prefix: 'runs/first' }))`.
 *
 * In Node uploads run on a thread of their own, so that they go on while a network trains. A program that ends by itself, by
 * `process.exit` or by an exception stands still for up to 10 s until what is left has been sent; one that is ended by a signal
 * does so with the writer's option `handleSignals`. SIGKILL loses what is younger than `uploadSecs`. In pages, and where no thread
 * can be started, `close` must be awaited.
 *
 * Nothing stops or slows a training: what cannot be uploaded is kept and tried again, is warned of once, and makes `flush` and
 * `close` reject. Resuming (`purgeStep`), runs below and companion files work as in a folder.
 *
 * @throws TypeError or RangeError if an option is wrong
 */
export function s3Output(options: S3OutputOptions): BucketOutput {
  checkOptionNames('s3Output', options, s3OutputNames);
  return bucketOutput(options, 's3');
}

/**
 * The Output of a run in a bucket of Google Cloud Storage; see `s3Output`. With layout 'growing' the object grows by compose.
 *
 * @throws TypeError or RangeError if an option is wrong
 */
export function gcsOutput(options: GcsOutputOptions): BucketOutput {
  checkOptionNames('gcsOutput', options, gcsOutputNames);
  return bucketOutput(options, 'gcs');
}

function bucketOutput(options: S3OutputOptions | GcsOutputOptions, dialect: 's3' | 'gcs'): BucketOutput {
  const call = `${dialect}Output`;
  const { layout, maxObjectBytes, uploadSecs, filenameSuffix, prefix: path = '', ...place } = options;
  const prefix = checkPrefix(path, `${call}: prefix`);
  checkObjectOutputOptions(call, options);
  const writing: ObjectOutputOptions = { prefix, layout, maxObjectBytes, uploadSecs, filenameSuffix };
  const resolved = resolvedOptions(place, dialect);
  const here = new HttpStore(resolved, dialect); // checks the options
  // A page must not stand still for its thread, which would be of no more use than the page itself.
  const onThread = files === undefined ? undefined : openOnThread(resolved, dialect, writing);
  const url = `${dialect === 'gcs' ? 'gs' : 's3'}://${options.bucket}/${prefix === '' ? '' : `${prefix}/`}`;
  const loader = dialect === 's3' ? ' --load_fast=false' : '';
  const tensorboardCommand = `tensorboard --logdir ${url}${loader} --reload_interval 60`;
  return Object.assign(onThread ?? new ObjectOutput(here, writing), { url, tensorboardCommand });
}
