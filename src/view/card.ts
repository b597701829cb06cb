import { download, h, pictureOf } from './dom.js';

/** What a card shows. */
export interface CardContent {
  readonly title: string;
  readonly note: string;
  /** All that the drawing depends on: while it stays the same, nothing is drawn again. */
  readonly depends: readonly unknown[];
  /** Draws at a width in pixels; nothing hides the card. */
  readonly draw: (width: number) => Node[];
}

/** A part of the view with a title, a note and a drawing, drawn again only if what it depends on changed. */
export class Card {
  /** What is put into the page. */
  readonly element: HTMLElement;
  readonly #title = h('h2', {});
  readonly #note = h('p', { className: 'note' });
  readonly #body = h('div', { className: 'chart' });
  #last = '';

  /**
   * @param name becomes a part of the element's id
   * @param isWide whether it takes the whole width
   * @param hasPicture whether its drawing can be saved as a PNG
   */
  constructor(name: string, isWide: boolean, hasPicture: boolean) {
    const save = h('button', { type: 'button', className: 'plain' }, 'PNG');
    this.element = h(
      'section',
      { className: isWide ? 'card wide' : 'card', id: `saturation-${name}`, hidden: true },
      h('header', {}, this.#title, hasPicture && save),
      this.#note,
      this.#body,
    );
    this.#title.id = `saturation-${name}-title`;
    this.element.setAttribute('aria-labelledby', this.#title.id);
    save.setAttribute('aria-label', `PNG of ${name}`);
    save.onclick = () => {
      const ground = getComputedStyle(this.element).backgroundColor;
      void pictureOf(this.#body, ground).then((blob) => download(`${this.#title.textContent}.png`, blob));
    };
  }

  /** Shows the content. */
  draw({ title, note, depends, draw }: CardContent): void {
    this.element.hidden = false;
    const width = Math.floor(this.#body.clientWidth || 320);
    const key = [width, ...depends].join('\n');
    if (key === this.#last) return;
    this.#last = key;
    this.#title.textContent = title;
    this.#note.textContent = note;
    const nodes = draw(width);
    this.element.hidden = nodes.length === 0;
    // A hidden card has no width: it is drawn again when it has something to show.
    if (nodes.length === 0) this.#last = '';
    const { childNodes } = this.#body;
    const isSame = nodes.length === childNodes.length && nodes.every((node, index) => childNodes[index] === node);
    if (!isSame) this.#body.replaceChildren(...nodes);
  }
}
