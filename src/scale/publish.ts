import { concat } from '../encoding/bytes.js';
import { frameRecord, payloadsOf } from '../encoding/record.js';
import { checkOptionNames, describe, type OptionNames } from '../errors.js';
import type { Step } from '../event/event.js';
import { MemoryOutput, safePath } from '../output/output.js';
import type { CountingOptions } from '../saturation/measure-layer.js';
import { SaturationWriter } from '../saturation/saturation-writer.js';
import { Spectrum } from '../statistics/spectrum.js';
import { folderPartials, type PartialStore } from './partial-store.js';
import type { Plan } from './plan.js';
import { readMoments } from './work.js';

/*
 * The answer of a plan as a run that TensorBoard shows. Engines may run a root twice, and two files of the same events are two
 * sets of points: so the file's name and all its bytes come from the plan, and only the first one stays.
 */

/** Options of `publish`. */
export interface PublishOptions extends CountingOptions {
  /** The run's name below the logdir. Default: the plan's task and the first characters of its id. */
  run?: string;
  /** The step of all points. Default 0. */
  step?: Step;
  /** Seconds since 1970, of all points. Default 0: nothing that depends on when a worker came to it. */
  wallTime?: number;
}

const optionNames: OptionNames<PublishOptions> = {
  run: true,
  step: true,
  wallTime: true,
  threshold: true,
  rule: true,
};

/** What `publish` did. */
export interface Publication {
  /** The run's name. */
  readonly run: string;
  /** The event file's path below the logdir. */
  readonly path: string;
  /** False if it stood there. */
  readonly isOwn: boolean;
  /** The spectra that were written. */
  readonly spectra: ReadonlyMap<string, Spectrum>;
}

/**
 * Writes the saturations of a plan whose root is done as a run: what `SaturationWriter` writes of each layer, and the profile.
 * However often and by whomever it is called, there is one file, whose bytes depend on the plan, the data and the options alone.
 *
 * @param partials where the root's partial lies
 * @param logdir a folder, or where else: `objectPartials(s3Store({ … }), { prefix: 'runs' })`
 * @throws Error if the root is not done, RangeError for a plan without rows or options that cannot be
 */
export async function publish(
  of: Plan,
  partials: PartialStore,
  logdir: string | URL | PartialStore,
  options: PublishOptions = {},
): Promise<Publication> {
  checkOptionNames('publish', options, optionNames);
  const { step = 0, wallTime = 0, run = `${of.task}-${of.id.slice(0, 8)}`, ...counting } = options;
  if (!Number.isFinite(wallTime) || wallTime < 0) {
    throw new RangeError(`publish: expected wallTime to be seconds since 1970, got ${describe(wallTime)}`);
  }
  const target = typeof logdir === 'string' || logdir instanceof URL ? folderPartials(logdir) : logdir;
  const spectra = new Map<string, Spectrum>();
  for await (const [layer, moments] of readMoments(of, partials)) {
    if (moments.count > 0) spectra.set(layer, Spectrum.of(moments));
  }
  if (spectra.size === 0) throw new RangeError(`publish: expected a plan with rows, got none in the plan ${of.id}`);
  const output = new MemoryOutput();
  const writer = new SaturationWriter(output, { handleSignals: false });
  for (const [layer, spectrum] of spectra) writer.addSaturation(layer, spectrum, step, counting);
  writer.addSaturationProfile(spectra, step, counting);
  await writer.close();
  const path = `${safePath(run)}/events.out.tfevents.${String(Math.floor(wallTime)).padStart(10, '0')}.plan.${of.id}`;
  const isOwn = await target.putIfAbsent(path, withWallTime(output.bytes, wallTime));
  return { run, path, isOwn, spectra };
}

/** Records in which all events have one wall time: an event begins with it, as the field 1 of type double. */
function withWallTime(records: Uint8Array, wallTime: number): Uint8Array {
  const wallTimeTag = 0x09;
  const framed: Uint8Array[] = [];
  for (const payload of payloadsOf(records)) {
    const event = payload.slice();
    if (event[0] !== wallTimeTag) throw new Error('publish: expected an event that begins with its wall time');
    new DataView(event.buffer).setFloat64(1, wallTime, true);
    framed.push(frameRecord(event));
  }
  return concat(framed);
}
