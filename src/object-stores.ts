/** Logdirs in object stores: `delve-tensorboard/object-stores`. */

export { ObjectOutput, type ObjectOutputOptions } from './output/object-output.js';
export {
  MemoryObjectStore,
  type ObjectInfo,
  type ObjectListing,
  type ObjectStore,
  ObjectStoreError,
} from './output/object-store.js';
export type { Output } from './output/output.js';
export {
  type BucketOutput,
  type GcsOutputOptions,
  gcsOutput,
  type S3OutputOptions,
  s3Output,
} from './output/s3-output.js';
export { type GcsStoreOptions, gcsStore, type S3Credentials, type S3StoreOptions, s3Store } from './output/s3-store.js';
export type {} from './platform/globals.js';
