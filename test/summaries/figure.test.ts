import { PNG } from 'pngjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { figureSummary } from '../../src/summaries/image.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';

const svg =
  '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect x="10" width="10" height="20" fill="#ff0000"/></svg>';

afterEach(() => {
  vi.doUnmock('@resvg/resvg-js');
  vi.resetModules();
});

/** Width, height and PNG file of a figure. */
function parts({ tensor }: PluginSummary) {
  const [width, height, encoded] = tensor.stringVal as Uint8Array[];
  return { width: Number(Buffer.from(width)), height: Number(Buffer.from(height)), encoded };
}

describe('figureSummary', () => {
  it('draws an SVG in its size, on white', async () => {
    const { encoded, width, height } = parts(await figureSummary(svg));
    const { data, ...size } = PNG.sync.read(Buffer.from(encoded));
    expect([width, height, size.width, size.height]).toEqual([40, 20, 40, 20]);
    const at = (x: number) => Array.from(data.subarray(4 * (5 * 40 + x), 4 * (5 * 40 + x) + 4));
    expect([at(5), at(15)]).toEqual([
      [255, 255, 255, 255],
      [255, 0, 0, 255],
    ]);
  });

  it('writes text, with the fonts of the system', async () => {
    const inkOf = async (text: string) => {
      const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20"><text x="2" y="15">${text}</text></svg>`;
      const { encoded } = parts(await figureSummary(drawing));
      return PNG.sync.read(Buffer.from(encoded)).data.filter((value) => value < 128).length;
    };
    expect(await inkOf('Depth')).toBeGreaterThan(await inkOf('D'));
  });

  it('says which document could not be drawn', async () => {
    await expect(figureSummary('<svg><g></svg>', 'figure "f"')).rejects.toThrow(
      /^figure "f": the SVG could not be drawn: /,
    );
  });

  it('names the command that installs the renderer if it is absent', async () => {
    vi.doMock('@resvg/resvg-js', () => {
      throw new Error('Cannot find package');
    });
    vi.resetModules();
    const { figureSummary: draw } = await import('../../src/summaries/image.js');
    await expect(draw(svg, 'figure "f"')).rejects.toThrow('npm install @resvg/resvg-js');
  });
});

describe('figureSummary, at once', () => {
  it('accepts SVG documents with and without declaration or namespace prefix', () => {
    for (const text of [svg, `<?xml version="1.0"?>\n${svg}`, '<svg:svg xmlns:svg="x"/>', '<svg/>'])
      expect(() => figureSummary(text).catch(() => {})).not.toThrow();
  });

  it('refuses everything else', () => {
    for (const value of [undefined, 3, '', '<html></html>', 'svg'])
      expect(() => figureSummary(value as string, 'figure "f"')).toThrow(/^figure "f": expected an SVG document/);
  });
});
