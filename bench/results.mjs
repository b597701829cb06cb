// bench/RESULTS.md has a section for each benchmark, between markers; each rewrites its own.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

const path = new URL('./RESULTS.md', import.meta.url);
const title =
  '# Benchmarks\n\nWritten by the commands named in each section. Ratios within one run count, not seconds.\n';

/** A document with a section (Markdown without its markers) in place of the one of the same name, or at its end. */
export function replaceSection(document, name, text) {
  const start = `<!-- ${name}:start -->`;
  const end = `<!-- ${name}:end -->`;
  const section = `${start}\n${text.trim()}\n${end}`;
  const from = document.indexOf(start);
  const to = document.indexOf(end);
  return from >= 0 && to > from
    ? document.slice(0, from) + section + document.slice(to + end.length)
    : `${document.trimEnd()}\n\n${section}\n`;
}

/** Puts a section into bench/RESULTS.md. */
export function writeSection(name, text) {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : title;
  writeFileSync(path, replaceSection(before, name, text));
}

/** The machine, the versions and the day, in a line. */
export function machine() {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const day = new Date().toISOString().slice(0, 10);
  return `${day}, ${cpus().length} x ${cpu.model.trim()}, ${memory} GiB, ${process.platform}, Node ${process.version}`;
}
