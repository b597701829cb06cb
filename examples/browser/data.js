// Points of the plane within [-1, 1], and which of two kinds each is: 0 or 1.

function spirals(count, random) {
  const points = [];
  const labels = [];
  for (let i = 0; i < count; i++) {
    const angle = 6 * Math.sqrt(random());
    const side = i % 2 === 0 ? 1 : -1;
    const noise = () => 0.08 * (random() - 0.5);
    points.push([side * (angle / 6.3) * Math.cos(angle) + noise(), side * (angle / 6.3) * Math.sin(angle) + noise()]);
    labels.push((side + 1) / 2);
  }
  return [points, labels];
}

function places(count, random, kindOf) {
  const points = Array.from({ length: count }, () => [2 * random() - 1, 2 * random() - 1]);
  return [points, points.map(([x, y]) => (kindOf(x, y) ? 1 : 0))];
}

/** By the name that the page shows. */
export const DATA = {
  spirals,
  rings: (count, random) => places(count, random, (x, y) => Math.sin(9 * Math.hypot(x, y)) > 0),
  checkerboard: (count, random) =>
    places(count, random, (x, y) => Math.floor(2 * (x + 1)) % 2 === Math.floor(2 * (y + 1)) % 2),
  'a line': (count, random) => places(count, random, (x, y) => x + y > 0),
};
