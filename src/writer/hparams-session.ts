import type { Output } from '../output/output.js';
import type { Hparam, HparamsStatus } from '../summaries/hparams.js';

interface Session {
  hparams: string;
  ended: boolean;
}

const sessions = new WeakMap<Output, Session>();

/**
 * Notes the hyperparameters of a run. TensorBoard reads what comes first and nothing later, so a run has one set of them
 * and one end; a session that was begun as 'running' may be given again to end it.
 *
 * @throws RangeError where the run has other hyperparameters or has ended
 */
export function continueSession(
  run: Output,
  hparams: Readonly<Record<string, Hparam>>,
  status: HparamsStatus = 'success',
): void {
  const text = JSON.stringify(Object.entries(hparams).sort(([a], [b]) => (a < b ? -1 : 1)));
  const session = sessions.get(run);
  const advice = "a run has one set of hyperparameters: write others to a run of their own, writer.run('name')";
  if (session !== undefined && session.hparams !== text) {
    throw new RangeError(`addHparams: expected ${session.hparams}, which the run has already, got ${text}; ${advice}`);
  }
  if (session?.ended)
    throw new RangeError(
      `addHparams: the run's hyperparameters have been written and its session has ended; ${advice}`,
    );
  sessions.set(run, { hparams: text, ended: status !== 'running' });
}
