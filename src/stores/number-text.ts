/**
 * A number as pandas' to_csv writes a float64: shortest digits that read back exactly, always with a point or an
 * exponent, `inf`, and nothing at all for NaN.
 */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return '';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const [digits, power] = value.toExponential().split('e');
  const exponent = Number(power);
  // Python's repr: exponents below -4 or from 16 on, with a sign and at least two digits.
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const text = String(value);
  return text.includes('.') ? text : `${text}.0`;
}

/** A count as pandas writes an int64; NaN is nothing. */
export function integerText(value: number): string {
  return Number.isInteger(value) ? String(value) : floatText(value);
}

/** The number in a cell: NaN for an empty one and for text that is not a number. */
export function numberOfText(text: string | undefined): number {
  if (text === undefined || text.trim() === '') return Number.NaN;
  const infinite = /^\s*([+-]?)inf(inity)?\s*$/i.exec(text);
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity;
  return Number(text);
}
