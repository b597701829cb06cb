// The figure of the planted diseases: above, validation losses; below, the vital sign that tells.

const colors = { domain: ['healthy', 'diseased'], range: ['#8c8c8c', '#b2182b'] };
const marks = {
  domain: ['a finding tells it', 'the validation loss shows it'],
  looks: {
    stroke: ['#2166ac', '#b2182b'],
    fill: ['#2166ac', 'transparent'],
    shape: ['diamond', 'circle'],
    size: [60, 190],
  },
};

/** What is drawn of each disease: its control, and its vital sign of an epoch's values, layer by layer. */
const panels = [
  {
    name: 'rate',
    title: 'ReLUs die of a large rate',
    stat: 'deadUnits',
    of: (row) => row[0],
    sign: 'dead units, first layer',
    scale: { domain: [0, 1] },
    axis: { format: '%' },
  },
  {
    name: 'collapse',
    title: 'Features collapse',
    stat: 'trace',
    of: (row) => row.at(-1),
    sign: 'variance of the features',
    isLog: true,
    scale: { type: 'log' },
    axis: { format: '.0e', tickCount: 5 },
  },
  {
    name: 'frozen',
    title: 'A layer is frozen',
    stat: 'weightAlpha',
    of: (row) => row[1],
    sign: 'alpha, second layer’s weights',
    scale: { zero: false },
    axis: {},
  },
];

const chart = (values, title, { scale, axis }, dots = []) => ({
  width: 250,
  height: 170,
  layer: [
    {
      data: { values },
      mark: { type: 'line', strokeWidth: 1.6 },
      encoding: {
        x: { field: 'epoch', type: 'quantitative', axis: { tickMinStep: 1, format: 'd', grid: false } },
        y: { field: 'value', type: 'quantitative', title, scale, axis },
        detail: { field: 'seed' },
        color: { field: 'state', type: 'nominal', scale: colors, legend: { title: null, orient: 'top' } },
      },
    },
    {
      data: { values: dots },
      mark: { type: 'point', strokeWidth: 2, opacity: 1 },
      encoding: {
        x: { field: 'epoch', type: 'quantitative' },
        y: { field: 'value', type: 'quantitative' },
        // Both marks of one epoch can be seen: a diamond in a circle.
        ...Object.fromEntries(
          Object.entries(marks.looks).map(([channel, range]) => [
            channel,
            {
              field: 'what',
              type: 'nominal',
              scale: { domain: marks.domain, range },
              legend: { title: null, orient: 'top' },
            },
          ]),
        ),
      },
    },
  ],
});

/** A Vega-Lite specification of what the experiment found. */
export function diseaseFigure(results, control) {
  const columns = panels.map(({ name, title, stat, of, sign, isLog, ...look }) => {
    const runs = results.filter((each) => [name, control(name)].includes(each.name));
    const lines = (values) =>
      runs.flatMap((run) =>
        values(run).map((value, at) => ({
          epoch: at + 1,
          value,
          seed: `${run.name} ${run.seed}`,
          state: run.name === name ? 'diseased' : 'healthy',
        })),
      );
    const dots = runs
      .filter((run) => run.name === name)
      .flatMap((run) => {
        const found = run.findings[0]?.epoch;
        return [
          ...(found ? [{ epoch: found, value: run.losses[found - 1], what: marks.domain[0] }] : []),
          ...(run.shown ? [{ epoch: run.shown, value: run.losses[run.shown - 1], what: marks.domain[1] }] : []),
        ];
      });
    const loss = isLog ? { scale: { type: 'log' }, axis: look.axis } : { scale: { zero: false }, axis: {} };
    return [
      {
        title,
        ...chart(
          lines((run) => run.losses),
          'validation loss',
          loss,
          dots,
        ),
      },
      chart(
        lines((run) => run.signs[stat].map(of)),
        sign,
        look,
      ),
    ];
  });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: 'Three planted diseases, and what tells them first',
      subtitle: 'MNIST digits, three ReLU layers; each line is a run',
      anchor: 'start',
    },
    background: 'white',
    padding: 12,
    vconcat: [0, 1].map((row) => ({ hconcat: columns.map((column) => column[row]) })),
  };
}
