/*
 * Elements of a page, made without parsing HTML: names of runs and layers come from files and stay text.
 */

type Child = Node | string | undefined | false;

/** Properties of an element (`className`, `onclick`, …) and, in `attributes`, what has no property (`aria-label`). */
type Properties<Tag extends keyof HTMLElementTagNameMap> = Partial<Omit<HTMLElementTagNameMap[Tag], 'attributes'>> & {
  attributes?: Readonly<Record<string, string>>;
};

/** An element with its properties and children. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  { attributes = {}, ...properties }: Properties<Tag> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

/** Text with `code` in backticks. Nothing else of it is markup. */
export function withCode(text: string): (Node | string)[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part));
}

/** A name that fits a label: the middle of a long one is left out. */
export function shortened(name: string, length = 26): string {
  const signs = [...name];
  if (signs.length <= length) return name;
  const head = Math.floor((length - 1) / 3);
  return `${signs.slice(0, head).join('')}…${signs.slice(signs.length - (length - 1 - head)).join('')}`;
}

/** Gives the user a file to save. */
export function download(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const link = h('a', { href: url, download: name.replace(/[^\w.-]+/g, '_') });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** What a chart shows as a PNG of twice its size, on the ground of the page. */
export async function pictureOf(figure: HTMLElement, ground: string): Promise<Blob> {
  const parts = [...figure.querySelectorAll<SVGSVGElement | HTMLCanvasElement>('svg, canvas')];
  const frame = figure.getBoundingClientRect();
  const canvas = h('canvas', { width: Math.ceil(frame.width * 2), height: Math.ceil(frame.height * 2) });
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('picture: expected a canvas that draws, got none');
  context.scale(2, 2);
  context.fillStyle = ground;
  context.fillRect(0, 0, frame.width, frame.height);
  for (const part of parts) {
    const { left, top, width, height } = part.getBoundingClientRect();
    const source = part instanceof HTMLCanvasElement ? part : await imageOf(part);
    context.drawImage(source, left - frame.left, top - frame.top, width, height);
  }
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob === null ? reject(new Error('picture: the page is too large')) : resolve(blob))),
  );
}

function imageOf(svg: SVGSVGElement): Promise<HTMLImageElement> {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const { color, fontFamily } = getComputedStyle(svg);
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.style.color = color;
  copy.style.fontFamily = fontFamily;
  const image = new Image();
  const text = new XMLSerializer().serializeToString(copy);
  return new Promise((resolve, reject) => {
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error('picture: the chart could not be drawn'));
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  });
}
