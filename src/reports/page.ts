/** A drawn plot and what it shows. */
export interface Figure {
  svg: string;
  caption: string;
}

/** Widest picture that a phone may shrink to its screen; wider ones keep their size and scroll, or nobody could read them. */
const shrinkBelow = 560;

const style = `
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 0 16px 48px; font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
h1 { font-size: 1.6rem; margin: 24px 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 32px 0 8px; border-bottom: 1px solid #ddd; padding-bottom: 4px; }
ul { padding-left: 20px; } li { margin: 8px 0; max-width: 70ch; overflow-wrap: anywhere; } p { max-width: 70ch; }
code { background: #f2f2f2; border-radius: 3px; padding: 0 3px; font-size: 0.9em; overflow-wrap: anywhere; }
a { color: #2166ac; }
.figures { display: flex; flex-wrap: wrap; gap: 16px; }
figure { margin: 0; max-width: 100%; border: 1px solid #e6e6e6; border-radius: 6px; }
.scroll { overflow-x: auto; }
figure svg { display: block; } figure.small svg { max-width: 100%; height: auto; }
figcaption { padding: 0 12px 10px; color: #555; font-size: 0.9rem; max-width: 70ch; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid #eee; white-space: nowrap; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; max-width: 46vw; overflow: hidden; text-overflow: ellipsis; }
th { font-weight: 600; border-bottom: 2px solid #ccc; }
summary { cursor: pointer; font-size: 1.2rem; font-weight: 700; margin: 32px 0 8px; }
`;

/** A whole HTML document: its style within, no scripts, nothing to load. */
export function page(title: string, sections: readonly string[]): string {
  const name = escapeHtml(title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}</title>
<style>${style}</style>
</head>
<body>
<h1>${name}</h1>
${sections.join('\n')}
</body>
</html>
`;
}

/** A heading and its figures; folded, they cost no room until they are asked for. */
export function section(heading: string, figures: readonly Figure[], folded = false): string {
  const body = `<div class="figures">${figures.map((figure, index) => figureHtml(figure, `${heading.replace(/\W+/g, '-')}-${index}-`)).join('\n')}</div>`;
  const name = escapeHtml(heading);
  return folded
    ? `<details><summary>${name} (${figures.length})</summary>${body}</details>`
    : `<section><h2>${name}</h2>${body}</section>`;
}

export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, row: readonly string[]) =>
    row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('');
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('\n');
  return `<div class="scroll"><table><thead><tr>${cells('th', columns)}</tr></thead><tbody>${body}</tbody></table></div>`;
}

function figureHtml({ svg, caption }: Figure, idPrefix: string): string {
  const width = Number(/<svg[^>]*\swidth="([\d.]+)"/.exec(svg)?.[1] ?? 0);
  const label = escapeHtml(caption);
  const own = uniqueIds(svg, idPrefix).replace('<svg', `<svg role="img" aria-label="${label}"`);
  return `<figure class="${width <= shrinkBelow ? 'small' : 'wide'}"><div class="scroll">${own}</div><figcaption>${label}</figcaption></figure>`;
}

/** Several drawings in one document must not share ids (of clips and gradients). */
function uniqueIds(svg: string, prefix: string): string {
  return svg
    .replace(/\sid="([^"]+)"/g, ` id="${prefix}$1"`)
    .replace(/url\(#([^)]+)\)/g, `url(#${prefix}$1)`)
    .replace(/href="#([^"]+)"/g, `href="#${prefix}$1"`);
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
