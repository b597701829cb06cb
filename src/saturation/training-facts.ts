// Which network a training was of, and when it ran: as a run holds it, and in words for people.

/** A network in a note of a run: see `SaturationNote`. */
export interface NotedModel {
  /** The model's name. */
  readonly name: string;
  /** How many layers it has, also those that are not measured; without inputs and nested models as such. */
  readonly layers: number;
  /** How many layers of each class it has, in order of depth: `{"Conv2D":2,"Dense":1}`. */
  readonly types: Readonly<Record<string, number>>;
  /** How many weights it has, trainable or not; absent if that is not known. */
  readonly parameters?: number;
}

/** When a training ran. */
export interface TrainingTimes {
  /** Wall time of its first event, in seconds since 1970. */
  readonly first: number;
  /** Wall time of its last event, in seconds since 1970. */
  readonly last: number;
}

/** Times that a moment belongs to, too; one that no calendar has is passed over. @param wallTime in seconds since 1970 */
export function withTime(times: TrainingTimes | undefined, wallTime: number): TrainingTimes | undefined {
  if (!(Math.abs(wallTime) <= 8.64e12)) return times;
  const { first = wallTime, last = wallTime } = times ?? {};
  return { first: Math.min(first, wallTime), last: Math.max(last, wallTime) };
}

/** The network in a note or in what was made of one; undefined if there is none, or none that can be read. */
export function notedModelIn(value: unknown): NotedModel | undefined {
  const { name, layers, types, parameters } = (value ?? {}) as Partial<NotedModel>;
  if (typeof name !== 'string' || typeof layers !== 'number' || typeof types !== 'object' || types === null) return;
  const counts = Object.entries(types).filter(([, count]) => typeof count === 'number');
  const known = typeof parameters === 'number' ? { parameters } : {};
  return { name, layers, types: Object.fromEntries(counts), ...known };
}

/** When a training ran: `2026-03-01 12:00:00 to 12:34:56 UTC (34 min 56 s)`. */
export function timesText({ first, last }: TrainingTimes): string {
  const [from, to] = [first, last].map((time) => new Date(time * 1000).toISOString().slice(0, 19).replace('T', ' '));
  const end = to.slice(0, 10) === from.slice(0, 10) ? to.slice(11) : to;
  return `${from} to ${end} UTC (${durationText(last - first)})`;
}

/** A time in its two largest units; in tenths of seconds below ten. */
function durationText(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const units = [
    [Math.floor(whole / 86400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ] as const;
  const first = units.findIndex(([count]) => count > 0);
  return units
    .slice(first, first + 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

/** Which network it was: `digits, 5 layers (2 Conv2D, 1 Flatten, 2 Dense), 12,345 parameters`. */
export function modelText({ name, layers, types, parameters }: NotedModel): string {
  const kinds = Object.entries(types).map(([type, count]) => `${numberText(count)} ${type}`);
  const shown = kinds.length > 12 ? [...kinds.slice(0, 12), '…'] : kinds;
  const parts = [`${numberText(layers)} ${layers === 1 ? 'layer' : 'layers'} (${shown.join(', ')})`];
  if (name !== '') parts.unshift(name);
  if (parameters !== undefined) parts.push(`${numberText(parameters)} parameters`);
  return parts.join(', ');
}

/** How wide the measured layers are, in order of depth: `4 layers, of 8, 16, 64 and 10 features`. */
export function widthsText(widths: readonly number[]): string {
  const known = widths.filter((width) => Number.isFinite(width));
  const layers = `${numberText(widths.length)} ${widths.length === 1 ? 'layer' : 'layers'}`;
  if (known.length === 0) return layers;
  if (known.length > 12)
    return `${layers}, of ${numberText(Math.min(...known))} to ${numberText(Math.max(...known))} features`;
  const [last, ...rest] = known.map(numberText).reverse();
  return `${layers}, of ${rest.length === 0 ? '' : `${rest.reverse().join(', ')} and `}${last} features`;
}

function numberText(count: number): string {
  return count.toLocaleString('en-US');
}
