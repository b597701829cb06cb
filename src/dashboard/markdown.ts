import { lexer, type Token, type Tokens } from 'marked';
import { h } from '../view/dom.js';

/** Markdown as elements. HTML in it stays text, and links lead to http and https only. */
export function markdown(text: string): HTMLElement {
  const place = h('div', { className: 'markdown' });
  place.append(...blocks(lexer(text.slice(0, 100_000))));
  return place;
}

function blocks(tokens: readonly Token[]): Node[] {
  return tokens.flatMap((token): Node[] => {
    switch (token.type) {
      case 'heading':
        return [h((['h3', 'h4', 'h5'] as const)[Math.min(token.depth - 1, 2)], {}, ...inline(token.tokens))];
      case 'paragraph':
        return [h('p', {}, ...inline(token.tokens))];
      case 'text':
        return 'tokens' in token && token.tokens ? inline(token.tokens) : [textOf(token)];
      case 'code':
        return [h('pre', {}, h('code', {}, token.text))];
      case 'blockquote':
        return [h('blockquote', {}, ...blocks(token.tokens ?? []))];
      case 'list': {
        const { items, ordered } = token as Tokens.List;
        const list = items.map((item) => h('li', {}, ...blocks(item.tokens)));
        return [ordered ? h('ol', {}, ...list) : h('ul', {}, ...list)];
      }
      case 'table': {
        const { header, rows } = token as Tokens.Table;
        const row = (tag: 'th' | 'td', cells: readonly Tokens.TableCell[]) =>
          h('tr', {}, ...cells.map((cell) => h(tag, {}, ...inline(cell.tokens))));
        return [
          h(
            'div',
            { className: 'scroll', tabIndex: 0 },
            h('table', {}, row('th', header), ...rows.map((cells) => row('td', cells))),
          ),
        ];
      }
      case 'hr':
        return [h('hr')];
      case 'space':
      case 'def':
        return [];
      default:
        return [h('p', {}, token.raw)];
    }
  });
}

function inline(tokens: readonly Token[] | undefined): Node[] {
  return (tokens ?? []).map((token): Node => {
    switch (token.type) {
      case 'strong':
        return h('strong', {}, ...inline(token.tokens));
      case 'em':
        return h('em', {}, ...inline(token.tokens));
      case 'del':
        return h('del', {}, ...inline(token.tokens));
      case 'codespan':
        return h('code', {}, token.text);
      case 'br':
        return h('br');
      case 'link': {
        if (!/^https?:\/\//i.test(token.href)) return h('span', {}, ...inline(token.tokens));
        return h('a', { href: token.href, rel: 'noreferrer noopener', target: '_blank' }, ...inline(token.tokens));
      }
      default:
        return textOf(token);
    }
  });
}

function textOf(token: Token): Text {
  return document.createTextNode('text' in token && token.type !== 'html' ? unescaped(String(token.text)) : token.raw);
}

/** The lexer escapes some signs for HTML, which text nodes need not. */
function unescaped(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}
