import { PNG } from 'pngjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { checkSvg, renderFigure } from '../../src/summaries/image.js';

const svg =
  '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect x="10" width="10" height="20" fill="#ff0000"/></svg>';

afterEach(() => {
  vi.doUnmock('@resvg/resvg-js');
  vi.resetModules();
});

describe('renderFigure', () => {
  it('draws an SVG in its size, on white', async () => {
    const { encoded, width, height } = await renderFigure(svg);
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
      return PNG.sync.read(Buffer.from((await renderFigure(drawing)).encoded)).data.filter((value) => value < 128)
        .length;
    };
    expect(await inkOf('Depth')).toBeGreaterThan(await inkOf('D'));
  });

  it('says which document could not be drawn', async () => {
    await expect(renderFigure('<svg><g></svg>', 'figure "f"')).rejects.toThrow(
      /^figure "f": the SVG could not be drawn: /,
    );
  });

  it('names the command that installs the renderer where it is absent', async () => {
    vi.doMock('@resvg/resvg-js', () => {
      throw new Error('Cannot find package');
    });
    vi.resetModules();
    const { renderFigure: render } = await import('../../src/summaries/image.js');
    await expect(render(svg, 'figure "f"')).rejects.toThrow('npm install @resvg/resvg-js');
  });
});

describe('checkSvg', () => {
  it('takes SVG documents with and without declaration or namespace prefix', () => {
    for (const text of [svg, `<?xml version="1.0"?>\n${svg}`, '<svg:svg xmlns:svg="x"/>', '<svg/>'])
      expect(() => checkSvg(text)).not.toThrow();
  });

  it('refuses everything else', () => {
    for (const value of [undefined, 3, '', '<html></html>', 'svg'])
      expect(() => checkSvg(value, 'figure "f"')).toThrow(/^figure "f": expected an SVG document/);
  });
});
