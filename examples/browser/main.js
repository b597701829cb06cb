// A network that is trained in a page, with its event files in a folder that TensorBoard watches, or in the browser.
//   npm run build && npx vite examples/browser --open
import * as tf from '@tensorflow/tfjs';
import { openBrowserFolder, SaturationTracker, SaturationWriter } from 'delve-tensorboard/tfjs';
import { mountSaturationView } from 'delve-tensorboard/view';

const element = (id) => document.getElementById(id);

/** Two spirals: points of the plane, and which of the two each belongs to. */
function spirals(count) {
  const points = [];
  const labels = [];
  for (let i = 0; i < count; i++) {
    const angle = 6 * Math.sqrt(Math.random());
    const side = i % 2 === 0 ? 1 : -1;
    const noise = () => 0.1 * (Math.random() - 0.5);
    points.push([side * (angle / 6) * Math.cos(angle) + noise(), side * (angle / 6) * Math.sin(angle) + noise()]);
    labels.push([(side + 1) / 2]);
  }
  return { x: tf.tensor2d(points), y: tf.tensor2d(labels) };
}

/** What the network makes of every place in the plane: orange for one spiral, blue for the other. */
function picture(model, size = 96) {
  return tf.tidy(() => {
    const along = tf.linspace(-1, 1, size);
    const plane = tf.stack([along.expandDims(0).tile([size, 1]), along.expandDims(1).tile([1, size])], 2);
    const value = model.predict(plane.reshape([-1, 2])).reshape([size, size, 1]);
    const orange = tf.tensor1d([1, 0.55, 0.1]);
    const blue = tf.tensor1d([0.15, 0.4, 0.8]);
    return orange.mul(value).add(blue.mul(tf.sub(1, value)));
  });
}

async function train(folder) {
  const { x, y } = spirals(2000);
  const layer = (units) => tf.layers.dense({ units, activation: 'relu' });
  const model = tf.sequential({
    layers: [tf.layers.inputLayer({ inputShape: [2] }), layer(32), layer(32), layer(32)],
  });
  model.add(tf.layers.dense({ units: 1, activation: 'sigmoid' }));
  model.compile({ optimizer: tf.train.adam(0.01), loss: 'binaryCrossentropy', metrics: ['accuracy'] });

  // A page has no folders by name: the writer is given one that was opened.
  const writer = new SaturationWriter(folder);
  const tracker = new SaturationTracker(writer, model);
  // Each epoch is shown as soon as it is measured.
  mountSaturationView(element('view'), tracker);
  const show = new tf.CustomCallback({
    onEpochEnd: async (epoch, { loss, val_acc }) => {
      element('status').textContent = `epoch ${epoch + 1}: loss ${loss.toFixed(3)}, accuracy ${val_acc.toFixed(3)}`;
      writer.run('train').addScalar('epoch_loss', loss, epoch + 1);
      const drawn = picture(model);
      writer.addImage('plane', drawn, epoch + 1);
      drawn.dispose();
    },
  });
  await model.fit(x, y, { epochs: 20, validationSplit: 0.2, callbacks: [tracker.callback(), show] });
  await tracker.close();
  await writer.close();
  tf.dispose([x, y]);
  model.dispose();
}

async function run(open) {
  for (const button of document.querySelectorAll('button')) button.disabled = true;
  try {
    const folder = await openBrowserFolder(await open());
    await train(folder);
    const links = (await folder.list()).map(({ path, file }) => {
      const link = Object.assign(document.createElement('a'), {
        href: URL.createObjectURL(file),
        download: path.replaceAll('/', '_'),
        textContent: `${path} (${file.size} bytes)`,
      });
      const item = document.createElement('li');
      item.append(link);
      return item;
    });
    element('files').replaceChildren(...links);
    element('status').textContent += ' – done';
  } catch (error) {
    element('status').textContent = String(error);
  } finally {
    for (const button of document.querySelectorAll('button')) button.disabled = false;
  }
}

element('private').addEventListener('click', () => run(() => `runs/${Date.now()}`));
// TensorBoard can watch a picked folder while the page trains: tensorboard --logdir <the folder>
element('picked').addEventListener('click', () => run(() => window.showDirectoryPicker({ mode: 'readwrite' })));
