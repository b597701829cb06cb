// Video: frames as an animated GIF in the images dashboard.
//   node examples/video.mjs [logdir]
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/video';
const writer = new SummaryWriter(logdir);
const [frames, height, width] = [20, 96, 128];
const data = new Uint8Array(frames * height * width * 3);
for (let t = 0, at = 0; t < frames; t++) {
  const ball = { x: 20 + 4.5 * t, y: 76 - 60 * Math.abs(Math.sin((t / frames) * 2 * Math.PI)) };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const isBall = Math.hypot(x - ball.x, y - ball.y) < 12;
      data[at] = isBall ? 230 : 20 + y;
      data[at + 1] = isBall ? 120 : 40 + y;
      data[at + 2] = isBall ? 30 : 90 + y;
    }
  }
}
writer.addVideo('bouncing ball', { data, shape: [frames, height, width, 3] }, 0, { fps: 10 });
await writer.close();
console.log(`tensorboard --logdir ${logdir}`);
