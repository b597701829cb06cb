import type { Plan } from './plan.js';
import type { NodeReport, WorkOptions } from './work.js';

/*
 * An engine says which node is next, and to whom. It holds no truth: if it forgets everything, the plan is submitted again, and
 * what stands in the store is found.
 */

/** Workers that work for an engine. */
export interface EngineWorkers {
  /** Takes no more nodes, stops those under way between batches and gives them back, and disconnects. */
  close(): Promise<void>;
}

/** What schedules the nodes of plans. */
export interface Engine {
  /** Enters the nodes of a plan. A plan that is entered already stays as it is; nodes that failed are tried again. */
  submit(plan: Plan): Promise<void>;
  /**
   * Waits for the root.
   *
   * @throws PlanError that names the shards that failed for good, and why; the signal's reason
   */
  wait(plan: Plan, options?: { signal?: AbortSignal }): Promise<NodeReport>;
  /** Begins to work on the nodes of a plan in this process; others may do the same. */
  work(plan: Plan, options: Omit<WorkOptions, 'signal'>): Promise<EngineWorkers>;
}
