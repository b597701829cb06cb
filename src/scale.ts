/** Statistics of data that one machine cannot hold: `delve-tensorboard/scale`. It imports neither TensorFlow.js nor an engine. */

export type { ObjectInfo, ObjectListing, ObjectStore } from './output/object-store.js';
export type {} from './platform/globals.js';
export {
  type BullmqEngine,
  type BullmqEngineOptions,
  bullmqEngine,
  type EngineEvent,
  type EngineEventKind,
  type FailedNode,
  type QueueStatus,
} from './scale/bullmq-engine.js';
export type { Engine, EngineWorkers } from './scale/engine.js';
export { DamagedPartialError, type PartialLayer, RefusedPartialError } from './scale/partial.js';
export { folderPartials, memoryPartials, objectPartials, type PartialStore } from './scale/partial-store.js';
export {
  childrenOf,
  type Json,
  levelsOf,
  type Numerics,
  nameOf,
  type Plan,
  type PlanNode,
  type PlanOptions,
  plan,
  readPlan,
  rootOf,
  shardsOf,
} from './scale/plan.js';
export { type Publication, type PublishOptions, publish } from './scale/publish.js';
export { type FailedShard, type LevelStatus, type PlanStatus, planStatus } from './scale/status.js';
export {
  type MapContext,
  type NodeReport,
  PlanError,
  readMoments,
  runLocal,
  type ShardMap,
  type WorkEvent,
  type WorkEventKind,
  type WorkOptions,
  workOn,
} from './scale/work.js';
