import { printable, printableLines } from '../errors.js';
import { download, h, pictureOf } from '../view/dom.js';

/** A card of a page of the dashboard. */
export interface CardSpec {
  /** Unique on its page: a card of the same key stays where it is and is drawn again. */
  readonly key: string;
  /** The heading under which it stands. */
  readonly group: string;
  readonly title: string;
  /** Shown when one points at the title. */
  readonly hint?: string;
  readonly isWide?: boolean;
  /** Draws what is in the card. @param width of it in pixels */
  draw(place: HTMLElement, width: number): void;
  /** Whether what is drawn can be saved as a picture. */
  readonly isPicture?: boolean;
  /** The numbers of the card as CSV, if it has any. */
  readonly csv?: () => string;
}

/** So many cards of a group are shown at first, and so many more at a time. */
const atOnce = 48;

/**
 * Cards in groups that fold. A card is drawn when it is in sight, and again when the page changes: a thousand tags cost what is
 * looked at.
 */
export class CardList {
  readonly element = h('div', { className: 'groups' });
  readonly #open = new Map<string, boolean>();
  readonly #shown = new Map<string, number>();
  readonly #places = new Map<Element, CardSpec>();
  readonly #seen: IntersectionObserver;
  readonly #inSight = new Set<Element>();

  constructor() {
    this.#seen = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (isIntersecting) {
            this.#inSight.add(target);
            this.#draw(target);
          } else this.#inSight.delete(target);
        }
      },
      { rootMargin: '300px' },
    );
  }

  /** Shows these cards. @param empty what is said if there are none */
  show(cards: readonly CardSpec[], empty: string): void {
    const groups = new Map<string, CardSpec[]>();
    for (const card of cards) {
      const known = groups.get(card.group);
      if (known === undefined) groups.set(card.group, [card]);
      else known.push(card);
    }
    const before = new Map([...this.#places].map(([element, { key }]) => [key, element]));
    this.#places.clear();
    const few = cards.length <= atOnce;
    const sections = [...groups].map(([name, members], index) => {
      const isOpen = this.#open.get(name) ?? (few || index === 0);
      const count = this.#shown.get(name) ?? atOnce;
      const grid = h('div', { className: 'grid' });
      if (isOpen) for (const card of members.slice(0, count)) grid.append(this.#cardOf(card, before.get(card.key)));
      const more = h(
        'button',
        { type: 'button', hidden: !isOpen || members.length <= count },
        `${members.length - count} more`,
      );
      more.onclick = () => {
        this.#shown.set(name, count + atOnce);
        this.show(cards, empty);
      };
      const details = h(
        'details',
        { open: isOpen, className: 'group' },
        h('summary', {}, h('span', {}, printable(name)), h('span', { className: 'count' }, ` ${members.length}`)),
        grid,
        more,
      );
      details.ontoggle = () => {
        if (details.open === isOpen) return;
        this.#open.set(name, details.open);
        this.show(cards, empty);
      };
      return details;
    });
    const all = cards.length === 0 ? [h('p', { className: 'empty' }, empty)] : sections;
    this.element.replaceChildren(...all);
    this.#seen.disconnect();
    this.#inSight.clear();
    for (const element of this.#places.keys()) this.#seen.observe(element);
  }

  #cardOf(card: CardSpec, before: Element | undefined): Element {
    const element = before ?? this.#newCard();
    element.classList.toggle('wide', card.isWide === true);
    const heading = element.querySelector('h2') as HTMLElement;
    heading.textContent = printable(card.title);
    heading.title = printableLines(card.hint ?? card.title);
    for (const [index, button] of [...element.querySelectorAll('header button')].entries()) {
      (button as HTMLElement).hidden = index === 0 ? card.csv === undefined : card.isPicture !== true;
      button.setAttribute('aria-label', `${button.textContent} of ${printable(card.title)}`);
    }
    this.#places.set(element, card);
    return element;
  }

  #newCard(): HTMLElement {
    const body = h('div', { className: 'body' });
    const [csv, png] = ['CSV', 'PNG'].map((name) => h('button', { type: 'button', className: 'plain' }, name));
    const element = h('section', { className: 'card' }, h('header', {}, h('h2', {}), csv, png), body);
    csv.onclick = () => {
      const card = this.#places.get(element);
      if (card?.csv) download(`${card.title}.csv`, new Blob([card.csv()], { type: 'text/csv' }));
    };
    png.onclick = () => {
      const card = this.#places.get(element);
      if (card)
        void pictureOf(body, getComputedStyle(element).backgroundColor).then((blob) =>
          download(`${card.title}.png`, blob),
        );
    };
    return element;
  }

  #draw(element: Element): void {
    const card = this.#places.get(element);
    const place = element.querySelector<HTMLElement>('.body');
    if (card === undefined || place === null) return;
    card.draw(place, Math.max(200, Math.floor(place.clientWidth)));
  }
}
