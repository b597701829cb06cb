import { tensorboard } from '../proto/tensorboard.js';
import { checkStep, checkWallTime, wellFormed } from './check-arguments.js';
import { checkSummaryBytes } from './check-message.js';
import type { TensorBoardEvent } from './event.js';

/** An event holds one of these, or none. */
const contents = ['fileVersion', 'graph', 'metaGraph', 'runMetadata', 'logMessage', 'sessionLog', 'summary'] as const;

/**
 * What TensorBoard's dashboards decode of their plugins' content. Where they cannot, the dashboard fails for the whole
 * logdir.
 */
const contentTypes = new Map<string, { decode(bytes: Uint8Array): unknown }>([
  ['scalars', tensorboard.ScalarPluginData],
  ['histograms', tensorboard.HistogramPluginData],
  ['images', tensorboard.ImagePluginData],
  ['audio', tensorboard.AudioPluginData],
  ['text', tensorboard.TextPluginData],
  ['pr_curves', tensorboard.PrCurvePluginData],
  ['mesh', tensorboard.MeshPluginData],
  ['hparams', tensorboard.HParamsPluginData],
]);

const statuses = ['unspecified', 'start', 'stop', 'checkpoint'];

/**
 * The event in a form that no loader stumbles over: text repaired, everything else refused that would stop it.
 *
 * @throws TypeError or RangeError that names the field
 */
export function checkEvent(event: TensorBoardEvent): TensorBoardEvent {
  if (typeof event !== 'object' || event === null)
    throw new TypeError('addEvent: expected an event as readEvents yields it');
  checkWallTime(event.wallTime, 'addEvent');
  checkStep(event.step, 'addEvent');
  const given = contents.filter((content) => event[content] !== undefined);
  if (given.length > 1) throw new TypeError(`addEvent: an event holds one thing, got ${given.join(' and ')}`);
  const { sessionLog, logMessage, runMetadata, summary } = event;
  for (const [name, bytes] of [
    ['graph', event.graph],
    ['metaGraph', event.metaGraph],
    ['runMetadata.bytes', runMetadata?.bytes],
  ] as const) {
    if (bytes !== undefined && !(bytes instanceof Uint8Array)) {
      throw new TypeError(`addEvent: expected ${name} to be a Uint8Array, got ${typeof bytes}`);
    }
  }
  if (sessionLog !== undefined && !statuses.includes(sessionLog.status)) {
    throw new TypeError(
      `addEvent: expected sessionLog.status to be one of ${statuses.join(', ')}, got ${sessionLog.status}`,
    );
  }
  if (logMessage !== undefined && !Number.isInteger(logMessage.level)) {
    throw new TypeError(`addEvent: expected logMessage.level to be an integer, got ${logMessage.level}`);
  }
  summary?.forEach(checkSummary);
  return {
    ...event,
    ...text(event, 'fileVersion'),
    ...text(event, 'sourceWriter'),
    ...(sessionLog && {
      sessionLog: { ...sessionLog, ...text(sessionLog, 'checkpointPath'), ...text(sessionLog, 'message') },
    }),
    ...(logMessage && { logMessage: { ...logMessage, ...text(logMessage, 'message') } }),
    ...(runMetadata && { runMetadata: { ...runMetadata, ...text(runMetadata, 'tag') } }),
  };
}

function checkSummary({ tag, raw }: { tag: string; raw: Uint8Array }): void {
  const what = `addEvent ${JSON.stringify(tag)}`;
  if (!(raw instanceof Uint8Array)) {
    throw new TypeError(`${what}: expected raw to be the bytes of a Summary.Value, got ${typeof raw}`);
  }
  try {
    checkSummaryBytes(raw);
    const pluginData = tensorboard.Summary.Value.decode(raw).metadata?.pluginData;
    if (pluginData?.content) contentTypes.get(pluginData.pluginName ?? '')?.decode(pluginData.content);
  } catch (error) {
    throw new TypeError(`${what}: TensorBoard could not decode raw as a Summary.Value: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function text<K extends string>(holder: { [key in K]?: string }, key: K): { [key in K]?: string } | undefined {
  const value = holder[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw new TypeError(`addEvent: expected ${key} to be a string, got ${typeof value}`);
  return { [key]: wellFormed(value) } as { [k in K]?: string };
}
