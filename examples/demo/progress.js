import * as tf from '@tensorflow/tfjs';

const WIDTH = 24;

/** Numbers, where a Callback subclass is handed scalar tensors. */
async function numbers(logs) {
  const read = async ([key, value]) => [key, typeof value === 'number' ? value : (await value.data())[0]];
  return Object.fromEntries(await Promise.all(Object.entries(logs).map(read)));
}

/** The logs of an epoch in one line. Dataset training hands over accuracy as `acc`. */
function summary(logs) {
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  return `loss ${logs.loss.toFixed(3)}  accuracy ${percent(logs.acc)}  val loss ${logs.val_loss.toFixed(3)}  val accuracy ${percent(logs.val_acc)}`;
}

/** One line per epoch; on a terminal it fills while the epoch runs. */
export class Progress extends tf.Callback {
  constructor({ epochs, batchesPerEpoch, output = process.stdout }) {
    super();
    this.epochs = epochs;
    this.batchesPerEpoch = batchesPerEpoch;
    this.output = output;
  }

  async onEpochBegin(epoch) {
    this.epoch = epoch;
    this.startedAt = performance.now();
  }

  async onBatchEnd(batch) {
    if (!this.output.isTTY) return;
    const done = Math.min(1, (batch + 1) / this.batchesPerEpoch);
    const filled = Math.round(done * WIDTH);
    const seconds = (performance.now() - this.startedAt) / 1000;
    const left = Math.ceil((seconds / done) * (1 - done));
    this.output.write(`\r${this.label()} [${'='.repeat(filled).padEnd(WIDTH)}] ${left} s left \x1b[K`);
  }

  async onEpochEnd(_epoch, tensors) {
    const logs = await numbers(tensors);
    const seconds = ((performance.now() - this.startedAt) / 1000).toFixed(1);
    const clear = this.output.isTTY ? '\r\x1b[K' : '';
    this.output.write(`${clear}${this.label()} ${seconds.padStart(5)} s  ${summary(logs)}\n`);
    this.validationAccuracy = logs.val_acc;
  }

  label() {
    return `epoch ${String(this.epoch + 1).padStart(String(this.epochs).length)}/${this.epochs}`;
  }
}
