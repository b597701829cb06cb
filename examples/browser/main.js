// A playground: a network that learns in the page, with the saturation of its layers beside it. Its event files are kept in the
// browser's own folders, and can be saved.
//   npm run playground
import * as tf from '@tensorflow/tfjs';
import { openBrowserFolder, SaturationTracker, SaturationWriter } from 'delve-tensorboard/tfjs';
import { mountSaturationView } from 'delve-tensorboard/view';
import { DATA } from './data.js';

const element = (id) => document.getElementById(id);
const POINTS = 1000;
const BATCH = 100;

/** What is built: the widths of the hidden layers, which the sliders change. */
let widths = [24, 24, 24];
/** What learns now. */
let training;
let isRunning = false;
let runs = 0;

for (const name of Object.keys(DATA)) element('data').append(new Option(name, name));

/** A network and everything that belongs to its training. */
async function begin() {
  const before = training;
  training = undefined;
  await before?.end();
  const random = Math.random;
  const [points, labels] = DATA[element('data').value](POINTS, random);
  const model = tf.sequential({
    layers: [
      ...widths.map((units, index) =>
        tf.layers.dense({
          name: `hidden${index + 1}`,
          units,
          activation: element('activation').value,
          kernelInitializer: 'heNormal',
          ...(index === 0 ? { inputShape: [2] } : {}),
        }),
      ),
      tf.layers.dense({ name: 'answer', units: 1, activation: 'sigmoid' }),
    ],
  });
  model.compile({
    optimizer: tf.train.adam(Number(element('rate').value)),
    loss: 'binaryCrossentropy',
    metrics: ['accuracy'],
  });
  const x = tf.tensor2d(points);
  const y = tf.tensor2d(labels.map((label) => [label]));
  // A page has no folders by name: the writer is given one that was opened.
  const folder = await openBrowserFolder(`playground/${Date.now()}-${++runs}`);
  const writer = new SaturationWriter(folder);
  const tracker = new SaturationTracker(writer, model);
  // Each epoch is shown as soon as it is measured.
  mountSaturationView(element('view'), tracker);
  const own = {
    epoch: 0,
    folder,
    points,
    labels,
    model,
    /** One pass over all points, then the saturation of every layer. */
    async learn() {
      let [loss, accuracy] = [0, 0];
      for (let at = 0; at < POINTS; at += BATCH) {
        const [xs, ys] = tf.tidy(() => [x.slice([at, 0], [BATCH, 2]), y.slice([at, 0], [BATCH, 1])]);
        const logs = await tracker.record('train', () => model.trainOnBatch(xs, ys));
        loss += (logs[0] * BATCH) / POINTS;
        accuracy += (logs[1] * BATCH) / POINTS;
        tf.dispose([xs, ys]);
      }
      own.epoch++;
      tracker.addScalar('loss', loss);
      tracker.addScalar('accuracy', accuracy);
      return { loss, accuracy, layers: await tracker.addSaturations() };
    },
    flush: () => writer.flush(),
    async end() {
      await tracker.close();
      await writer.close();
      tf.dispose([x, y]);
      model.dispose();
    },
  };
  training = own;
  drawLayers();
  drawPlane();
  element('status').textContent = '';
}

/** The layers with their bars and sliders. */
function drawLayers() {
  const cards = widths.map((units, index) => {
    const card = document.createElement('div');
    card.className = 'layer';
    const name = `layer ${index + 1}`;
    const bar = Object.assign(document.createElement('div'), { className: 'bar', id: `bar${index}` });
    bar.append(document.createElement('span'));
    bar.setAttribute('role', 'img');
    bar.setAttribute('aria-label', `saturation of ${name}`);
    const words = Object.assign(document.createElement('strong'), { id: `used${index}`, textContent: '–' });
    const width = Object.assign(document.createElement('small'), { textContent: `${units} units` });
    const slider = Object.assign(document.createElement('input'), {
      type: 'range',
      min: '2',
      max: '96',
      value: String(units),
    });
    slider.setAttribute('aria-label', `units of ${name}`);
    slider.oninput = () => {
      width.textContent = `${slider.value} units`;
    };
    slider.onchange = () => change(widths.map((one, at) => (at === index ? Number(slider.value) : one)));
    const remove = Object.assign(document.createElement('button'), {
      type: 'button',
      textContent: 'remove',
      disabled: widths.length === 1,
    });
    remove.setAttribute('aria-label', `remove ${name}`);
    remove.onclick = () => change(widths.filter((_, at) => at !== index));
    card.append(bar, words, width, slider, remove);
    return card;
  });
  const add = Object.assign(document.createElement('button'), {
    type: 'button',
    textContent: '+ layer',
    disabled: widths.length >= 8,
  });
  add.onclick = () => change([...widths, widths.at(-1)]);
  element('network').replaceChildren(...cards, add);
}

function drawBars(layers) {
  for (const [index] of widths.entries()) {
    const found = layers.find(({ layer }) => layer === `hidden${index + 1}`);
    if (found === undefined) continue;
    element(`bar${index}`).firstChild.style.height = `${100 * found.saturation}%`;
    element(`bar${index}`).setAttribute(
      'aria-label',
      `layer ${index + 1} uses ${Math.round(100 * found.saturation)} % of its width`,
    );
    element(`used${index}`).textContent = `${found.intrinsicDimensionality} used`;
  }
}

/** What the network makes of the plane, with the points on it. */
function drawPlane() {
  const { model, points, labels } = training;
  const canvas = element('plane');
  const context = canvas.getContext('2d');
  const size = 60;
  const values = tf.tidy(() => {
    const along = tf.linspace(-1, 1, size);
    const plane = tf.stack([along.expandDims(0).tile([size, 1]), along.expandDims(1).tile([1, size])], 2);
    return model.predict(plane.reshape([-1, 2])).dataSync();
  });
  const scale = canvas.width / size;
  for (const [index, value] of values.entries()) {
    context.fillStyle = `hsl(${value > 0.5 ? 24 : 212} 85% ${96 - 38 * Math.abs(2 * value - 1)}%)`;
    context.fillRect((index % size) * scale, Math.floor(index / size) * scale, scale + 1, scale + 1);
  }
  for (const [index, [px, py]] of points.slice(0, 400).entries()) {
    context.fillStyle = labels[index] === 1 ? '#b8500a' : '#174a86';
    context.fillRect(((px + 1) / 2) * canvas.width - 1.5, ((py + 1) / 2) * canvas.height - 1.5, 3, 3);
  }
}

/** Trains until it is stopped. */
async function run() {
  if (isRunning) return;
  isRunning = true;
  element('train').textContent = 'Pause';
  try {
    while (isRunning) {
      const current = training;
      const { loss, accuracy, layers } = await current.learn();
      if (current !== training) break;
      drawBars(layers);
      if (current.epoch % 2 === 0) drawPlane();
      element('status').textContent =
        `epoch ${current.epoch}: loss ${loss.toFixed(3)}, ${(100 * accuracy).toFixed(1)} % right`;
      await tf.nextFrame();
    }
  } catch (error) {
    element('status').textContent = String(error);
  } finally {
    isRunning = false;
    element('train').textContent = 'Train';
  }
}

/** Waits until the pass that runs is over. */
async function pause() {
  const wasRunning = isRunning;
  isRunning = false;
  while (element('train').textContent === 'Pause') await tf.nextFrame();
  return wasRunning;
}

async function change(next) {
  const goesOn = await pause();
  widths = next;
  await begin();
  if (goesOn) void run();
}

async function save() {
  const goesOn = await pause();
  await training.flush();
  const url = URL.createObjectURL(await training.folder.toZip('playground'));
  Object.assign(document.createElement('a'), { href: url, download: 'playground.zip' }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  if (goesOn) void run();
}

await tf.ready();
element('train').onclick = () => (isRunning ? void pause() : void run());
element('again').onclick = () => void change(widths);
element('save').onclick = () => void save();
for (const id of ['data', 'activation', 'rate']) element(id).onchange = () => void change(widths);
await begin();
