import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { figureSummary } from '../../src/summaries/image.js';
import type { PluginSummary } from '../../src/summaries/plugin-summary.js';
import { catchWarnings } from '../support/warnings.js';

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

describe('figureSummary, documents that would cost too much', () => {
  const drawing = (attributes: string) =>
    `<svg xmlns="http://www.w3.org/2000/svg" ${attributes}><rect width="10" height="10"/></svg>`;
  const tooLarge =
    /^figure "f": the SVG could not be drawn: expected at most 16384 pixels a side and 67108864 in all, got/;

  it.each([
    'width="1e9" height="1"',
    'width="1" height="1e9"',
    'width="16385" height="1"',
    'width="16384" height="16384"',
    'width="1e6in" height="1"',
    'width="400000mm" height="1"',
    'width="1e5em" height="2"',
    'viewBox="0 0 1e9 1"',
    'viewBox="-5 -5 1e5 1e5"',
    'width="100000%" height="100%" viewBox="0 0 300 200"',
    'width="20000" viewBox="0 0 1 1"',
  ])('are not drawn: %s', async (attributes) => {
    await expect(figureSummary(drawing(attributes), 'figure "f"')).rejects.toThrow(tooLarge);
  });

  it('are not drawn if only their content or an entity says how large they are', async () => {
    const content = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="1e9" height="1"/></svg>';
    await expect(figureSummary(content, 'figure "f"')).rejects.toThrow(tooLarge);
    const entity = `<!DOCTYPE svg [<!ENTITY wide "1e9">]>${drawing('width="&wide;" height="1"')}`;
    await expect(figureSummary(entity, 'figure "f"')).rejects.toThrow(tooLarge);
  });

  it.each(['width="0" height="4"', 'width="-1" height="4"', 'width="1e39" height="4"'])(
    'and sizes that are none reject: %s',
    async (attributes) => {
      await expect(figureSummary(drawing(attributes), 'figure "f"')).rejects.toThrow(/^figure "f": the SVG could not/);
    },
  );

  it('draws what is as long as allowed', async () => {
    const { width, height } = parts(await figureSummary(drawing('width="16384" height="2"')));
    expect([width, height]).toEqual([16384, 2]);
  });

  it('draws on another thread: the event loop turns meanwhile', async () => {
    const circles = Array.from({ length: 5000 }, (_, i) => `<circle cx="${i % 800}" cy="${i % 600}" r="40"/>`);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await figureSummary(`<svg xmlns="http://www.w3.org/2000/svg" width="800" height="600">${circles.join('')}</svg>`);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });
});

describe('figureSummary, images in a document', () => {
  const warnings = catchWarnings();
  const folder = mkdtempSync(join(tmpdir(), 'figure-'));
  const red = join(folder, 'red.png');
  const picture = new PNG({ width: 4, height: 4 });
  picture.data.set(Array.from({ length: 16 }, () => [255, 0, 0, 255]).flat());
  const png = PNG.sync.write(picture);
  writeFileSync(red, png);
  writeFileSync(
    join(folder, 'red.svg'),
    `<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect id="r" width="4" height="4" fill="red"/></svg>`,
  );
  afterAll(() => rmSync(folder, { recursive: true }));

  /** The color in the middle of a document of 4 x 4. */
  async function colorOf(content: string, prolog = ''): Promise<number[]> {
    const document = `${prolog}<svg xmlns="http://www.w3.org/2000/svg" xmlns:s="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="4" height="4">${content}</svg>`;
    const { encoded } = parts(await figureSummary(document));
    return Array.from(PNG.sync.read(Buffer.from(encoded)).data.subarray(40, 43));
  }

  it('are drawn from data: URLs and from the document itself', async () => {
    const url = `data:image/png;base64,${png.toString('base64')}`;
    expect(await colorOf(`<image href="${url}" width="4" height="4"/>`)).toEqual([255, 0, 0]);
    expect(await colorOf(`<image xlink:href='${url}' width='4' height='4'/>`)).toEqual([255, 0, 0]);
    expect(await colorOf('<defs><rect id="r" width="4" height="4" fill="red"/></defs><use href="#r"/>')).toEqual([
      255, 0, 0,
    ]);
  });

  const encoded = Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><image href="${red}" width="4" height="4"/></svg>`,
  ).toString('base64');
  it.each([
    ['href', `<image href="${red}" width="4" height="4"/>`],
    ['xlink:href', `<image xlink:href='${red}' width='4' height='4'/>`],
    ['a prefix', `<s:image href="${red}" width="4" height="4"></s:image>`],
    ['lines', `<image\n\thref\n=\n"${red}"\nwidth="4" height="4"/>`],
    ['an SVG file', `<image href="${join(folder, 'red.svg')}" width="4" height="4"/>`],
    ['an element of an SVG file', `<use href="${join(folder, 'red.svg')}#r"/>`],
    ['quotes in another attribute', `<image class="a href=' b" href="${red}" id=" ' " width="4" height="4"/>`],
    ['a tag in another attribute', `<g class=">image "><image id=">" href="${red}" width="4" height="4"/></g>`],
    ['a comment with a quote', `<!-- <g a=" --><image href="${red}" width="4" height="4"/><!-- " -->`],
    ['characters by number', `<image href="${red.replaceAll('/', '&#47;')}" width="4" height="4"/>`],
    ['spaces before', `<image href=" ${red}" width="4" height="4"/>`],
    ['a filter', `<filter id="f"><feImage href="${red}"/></filter><rect width="4" height="4" filter="url(#f)"/>`],
    ['an SVG in a data: URL', `<image href="data:image/svg+xml;base64,${encoded}" width="4" height="4"/>`],
    ['a style sheet', `<style>@import url("${red}"); rect { fill: url("${red}") }</style>`],
  ])('are not read from files: %s', async (_, content) => {
    expect(await colorOf(content)).not.toEqual([255, 0, 0]);
  });

  it('are not read from files that an entity names, and entities cannot hold elements', async () => {
    const image = '<image href="&file;" width="4" height="4"/>';
    expect(await colorOf(image, `<!DOCTYPE svg [<!ENTITY file "${red}">]>`)).not.toEqual([255, 0, 0]);
    for (const value of [`'<image href="${red}" width="4" height="4"/>'`, `"&#60;image href='${red}'/>"`]) {
      await expect(colorOf('&all;', `<!DOCTYPE svg [<!ENTITY all ${value}>]>`)).rejects.toThrow(
        'expected an XML document',
      );
    }
    await expect(colorOf(image.replace('&file;', red), '<!DOCTYPE svg PUBLIC "<!--" "x">')).rejects.toThrow(
      'expected an XML',
    );
  });

  it('are missed with a warning', async () => {
    await colorOf('<image href="logo.png" width="4" height="4"/>');
    expect(warnings).toEqual([expect.stringContaining('"logo.png"')]);
  });

  it('do not change what looks like an image in a text, and common document types are read', async () => {
    expect(
      await colorOf('<text><![CDATA[<image href="/etc/passwd">]]></text><rect width="4" height="4" fill="red"/>'),
    ).toEqual([255, 0, 0]);
    const illustrator = `<?xml version="1.0" encoding="utf-8"?>\n<!-- Generator: Adobe Illustrator -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" [\n\t<!ENTITY ns_svg "http://www.w3.org/2000/svg">\n]>\n`;
    expect(await colorOf('<rect width="4" height="4" fill="red"/>', illustrator)).toEqual([255, 0, 0]);
  });
});
