// npm run docs:links — fetches every address that the documents link to, and lists those that fail; exit code 1 if one does.
// For whoever has a network: CI has none. Other documents than the repository's own can be named: node scripts/links.mjs page.md
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { marked } from 'marked';

const root = fileURLToPath(new URL('..', import.meta.url));
const named = process.argv.slice(2);
const tracked = () => execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
const [timeout, atOnce] = [20_000, 8];

/** The addresses that a document links to. */
function linksIn(markdown) {
  const found = new Set();
  marked.walkTokens(marked.lexer(markdown), ({ href, type }) => {
    if ((type === 'link' || type === 'image') && /^https?:/i.test(href)) found.add(href);
  });
  return found;
}

/** What is wrong with an address; undefined if nothing is. Some servers refuse HEAD, and an anchor needs the page. */
async function wrongWith(address) {
  const url = new URL(address);
  const anchor = decodeURIComponent(url.hash.slice(1));
  url.hash = '';
  const ask = (method) =>
    fetch(url, { method, signal: AbortSignal.timeout(timeout), headers: { 'user-agent': 'Mozilla/5.0 (link check)' } });
  try {
    let answer = anchor === '' ? await ask('HEAD') : await ask('GET');
    if (!answer.ok && anchor === '') answer = await ask('GET');
    if (!answer.ok) return `${answer.status} ${answer.statusText}`.trim();
    if (anchor === '') return void (await answer.body?.cancel());
    const page = await answer.text();
    // GitHub prefixes the anchors of Markdown, and makes those of lines (#L10) by a script.
    if (/^L\d+(-L\d+)?$/.test(anchor)) return undefined;
    const names = [...page.matchAll(/\b(?:id|name)=["']?([^"'\s>]+)/gi)].map(([, name]) => name);
    return names.some((name) => name === anchor || name === `user-content-${anchor}`)
      ? undefined
      : `no anchor #${anchor}`;
  } catch (error) {
    return String(error.cause?.code ?? error.cause?.message ?? error.message);
  }
}

const documents = new Map();
for (const document of named.length > 0 ? named : tracked()) {
  for (const link of linksIn(readFileSync(named.length > 0 ? document : `${root}/${document}`, 'utf8'))) {
    documents.set(link, [...(documents.get(link) ?? []), document]);
  }
}
const links = [...documents.keys()].sort();
const wrong = new Map();
const next = links.values();
const work = async () => {
  for (const link of next) {
    const what = await wrongWith(link);
    if (what !== undefined) wrong.set(link, what);
  }
};
await Promise.all(Array.from({ length: atOnce }, work));
for (const link of links) {
  if (wrong.has(link)) console.log(`${link}: ${wrong.get(link)} (${documents.get(link).join(', ')})`);
}
console.log(`${links.length} addresses, ${wrong.size} of which fail`);
process.exitCode = wrong.size > 0 ? 1 : 0;
