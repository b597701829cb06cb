/** What the tracker's last epoch says of every layer, as a table: one row per layer, training and validation side by side. */
export function saturationTable({ layers }) {
  const names = [...new Set(layers.map(({ layer }) => layer))];
  const of = (split, name) => layers.find((entry) => entry.split === split && entry.layer === name);
  const cells = (entry) => [
    entry.samples.toLocaleString('en'),
    String(entry.values.intrinsicDimensionality),
    `${(100 * entry.values.saturation).toFixed(1)} %`,
  ];
  const rows = names.map((name) => {
    const train = of('train', name);
    const val = of('val', name);
    return [name, String(train.features), ...cells(train), ...cells(val)];
  });
  const perSplit = ['samples', 'int. dim.', 'saturation'];
  const head = ['layer', 'width', ...perSplit, ...perSplit];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd();
  const span = (from, to) => widths.slice(from, to).reduce((sum, width) => sum + width + 2, -2);
  const group = (title, from) =>
    ` ${title} `.padStart((span(from, from + 3) + title.length + 2) / 2, '─').padEnd(span(from, from + 3), '─');
  const groups = `${' '.repeat(span(0, 2))}  ${group('train', 2)}  ${group('val', 5)}`;
  return [groups, line(head), ...rows.map(line)].join('\n');
}
