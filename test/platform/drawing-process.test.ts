import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { DrawingProcess, NoProcessError } from '../../src/platform/drawing-process.js';

const renderer = createRequire(import.meta.url).resolve('@resvg/resvg-js');
const document = (content: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="800" height="600">${content}</svg>`;
const red =
  '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="2"><rect width="4" height="2" fill="red"/></svg>';
const filled = (from: string, units = 'userSpaceOnUse') =>
  `<pattern id="p" patternUnits="${units}" ${from}><rect width="1" height="1"/></pattern><rect width="1e6" height="1e6" fill="url(#p)"/>`;
/** Each of `count` definitions uses the next one twice. */
const doubling = (count: number, make: (index: number) => string) =>
  `<defs>${Array.from({ length: count }, (_, i) => make(i)).join('')}</defs><rect width="800" height="600" mask="url(#m0)" clip-path="url(#c0)"/>`;

/** Documents that end the process of a renderer: without memory, without stack, or after longer than anybody waits. */
const hostile: Record<string, string> = {
  'a pattern with a tile of a million pixels a side': document(filled('width="1e6" height="1e6"')),
  'a small tile, scaled': document(filled('width="10" height="10" patternTransform="scale(1e5)"')),
  'a filter a thousand times as large as what it filters': document(
    '<filter id="f" x="-1000" y="-1000" width="3000" height="3000"><feFlood/></filter><rect width="800" height="600" filter="url(#f)"/>',
  ),
  'text in five thousand elements': document(`<text y="9">${'<tspan>'.repeat(5000)}x${'</tspan>'.repeat(5000)}</text>`),
  'masks of masks': document(
    doubling(
      24,
      (i) =>
        `<mask id="m${i}" mask="url(#m${i + 1})"><rect width="800" height="600" fill="white" mask="url(#m${i + 1})"/></mask>`,
    ),
  ),
  'noise of a million octaves': document(
    '<filter id="f"><feTurbulence numOctaves="1000000" baseFrequency="0.1"/></filter><rect width="800" height="600" filter="url(#f)"/>',
  ),
};

describe('a drawing process', () => {
  it.each(Object.entries(hostile))('%s ends it, is refused, and the next document is drawn', async (_, svg) => {
    const drawing = new DrawingProcess(renderer, { seconds: 1, bytes: 3e9 });
    const [refused, drawn] = await Promise.allSettled([drawing.draw(svg, 1), drawing.draw(red, 3)]);
    expect(refused).toMatchObject({
      status: 'rejected',
      reason: {
        message: expect.stringMatching(
          /^expected a document that takes at most 1 s and 2861 MB to draw, got one that /,
        ),
      },
    });
    expect(drawn.status).toBe('fulfilled');
    const { encoded, width, height } = (drawn as PromiseFulfilledResult<Awaited<ReturnType<typeof drawing.draw>>>)
      .value;
    expect([width, height]).toEqual([12, 6]);
    expect([...PNG.sync.read(Buffer.from(encoded)).data.subarray(0, 4)]).toEqual([255, 0, 0, 255]);
  });

  it('that cannot start says so', async () => {
    await expect(new DrawingProcess('/nowhere/renderer.js').draw(red, 1)).rejects.toThrow(NoProcessError);
  });

  it('does not keep a program alive that has drawn, and draws all that is waited for', () => {
    const index = new URL('../../dist/platform/drawing-process.js', import.meta.url).href;
    const program = `
      const { DrawingProcess } = await import(${JSON.stringify(index)});
      const drawing = new DrawingProcess(${JSON.stringify(renderer)});
      drawing.draw(${JSON.stringify(red)}, 1).then(({ width }) => console.log(width));
      drawing.draw(${JSON.stringify(red)}, 2).then(({ width }) => console.log(width));`;
    const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    expect({ stdout, status }).toEqual({ stdout: '4\n8\n', status: 0 });
  });
});
