// Figures: any SVG document, drawn as an image. Needs: npm install @resvg/resvg-js
//   node examples/figures.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/figures';
const writer = new SummaryWriter(logdir);
const counts = [
  [50, 2, 1],
  [3, 44, 8],
  [0, 6, 57],
];
const names = ['cat', 'dog', 'bird'];
const cells = counts.flatMap((row, y) =>
  row.map((count, x) => {
    const shade = Math.round(255 - (count / 57) * 200);
    return `<rect x="${80 + 60 * x}" y="${40 + 60 * y}" width="58" height="58" fill="rgb(${shade},${shade},255)"/>
      <text x="${109 + 60 * x}" y="${75 + 60 * y}" text-anchor="middle">${count}</text>`;
  }),
);
const labels = names.map(
  (name, i) =>
    `<text x="${109 + 60 * i}" y="30" text-anchor="middle">${name}</text><text x="70" y="${75 + 60 * i}" text-anchor="end">${name}</text>`,
);
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="280" height="240" font-family="sans-serif" font-size="16">${cells.join('')}${labels.join('')}</svg>`;

writer.addFigure('confusion matrix', svg, 0);
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);
