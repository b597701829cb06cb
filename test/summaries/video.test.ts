import { describe, expect, it } from 'vitest';
import type { Image } from '../../src/summaries/image.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { videoSummary } from '../../src/summaries/video.js';
import { framesOf } from '../support/gif.js';

const gifOf = (frames: Image, options = {}) =>
  (videoSummary(frames, options) as PluginSummary).tensor.stringVal?.[2] as Uint8Array;

describe('videoSummary', () => {
  it('is width, height and an animated GIF, for the images plugin', () => {
    const summary = videoSummary({ data: new Uint8Array(3 * 4 * 5 * 3), shape: [3, 4, 5, 3] }) as PluginSummary;
    const [width, height, gif] = summary.tensor.stringVal as Uint8Array[];
    expect([summary.plugin, summary.dataClass]).toEqual(['images', 3]);
    expect([Buffer.from(width).toString(), Buffer.from(height).toString()]).toEqual(['5', '4']);
    const decoded = framesOf(gif);
    expect(decoded).toMatchObject({ width: 5, height: 4, repeats: 0 });
    expect(decoded.frames.length).toBe(3);
  });

  it('keeps frames of few colours exactly', () => {
    const data = Uint8Array.from(
      { length: 2 * 16 * 16 * 3 },
      (_, i) => [0, 100, 200, 255][(i * 7 + Math.floor(i / 91)) % 4],
    );
    const { frames } = framesOf(gifOf({ data, shape: [2, 16, 16, 3] }));
    expect(frames.flatMap(({ rgb }) => Array.from(rgb))).toEqual(Array.from(data));
  });

  it('keeps all 256 greys', () => {
    const data = Uint8Array.from({ length: 256 }, (_, i) => i);
    const { frames } = framesOf(gifOf({ data, shape: [1, 16, 16] }));
    expect(Array.from(frames[0].rgb.filter((_, i) => i % 3 === 0))).toEqual(Array.from(data));
  });

  it('comes near to frames of many colours', () => {
    const data = Uint8Array.from(
      { length: 64 * 64 * 3 },
      (_, i) => (i % 3 === 0 ? Math.floor(i / 3) % 64 : Math.floor(i / 192)) * 4,
    );
    const { frames } = framesOf(gifOf({ data, shape: [1, 64, 64, 3] }));
    const error = frames[0].rgb.reduce((sum, value, i) => sum + Math.abs(value - data[i]), 0) / data.length;
    expect(error).toBeLessThan(8);
  });

  it('shows frames for the time that fps says, 4 by default', () => {
    const frames = { data: new Uint8Array(8), shape: [2, 2, 2] };
    expect(framesOf(gifOf(frames)).frames.map(({ delay }) => delay)).toEqual([25, 25]);
    expect(framesOf(gifOf(frames, { fps: 10 })).frames.map(({ delay }) => delay)).toEqual([10, 10]);
  });

  it('draws transparency over black', () => {
    const { frames } = framesOf(
      gifOf({ data: Uint8Array.of(200, 100, 0, 128, 200, 100, 0, 255), shape: [1, 1, 2, 4] }),
    );
    expect(Array.from(frames[0].rgb)).toEqual([100, 50, 0, 200, 100, 0]);
  });

  it('refuses no frames, a single image and odd speeds', () => {
    expect(() => gifOf({ data: [], shape: [0, 2, 2] })).toThrow('at least one frame');
    expect(() => gifOf({ data: new Uint8Array(4), shape: [2, 2] })).toThrow('expected 4 axes for layout NHWC');
    for (const fps of [0, -1, 101, Number.NaN])
      expect(() => gifOf({ data: [0], shape: [1, 1, 1] }, { fps })).toThrow('expected fps');
    expect(() => videoSummary({ encoded: new Uint8Array(4) })).toThrow('use addImage');
  });
});
