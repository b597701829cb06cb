// What experiments do with numbers, without TensorFlow.js.

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function percent(value) {
  return `${(100 * value).toFixed(2)} %`;
}

/** JSON with a line for each list of plain values, and no more digits than anybody reads. */
export function compact(value, digits = 6) {
  const rounded = (_, each) => (typeof each === 'number' ? Number(each.toPrecision(digits)) : each);
  return JSON.stringify(value, rounded, 1).replace(/\[[^[\]{}]*\]/g, (list) =>
    list
      .replace(/\s*\n\s*/g, ' ')
      .replace('[ ', '[')
      .replace(' ]', ']'),
  );
}
