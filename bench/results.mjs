// bench/RESULTS.md has a section for each benchmark, between markers; each rewrites its own.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

const path = new URL('./RESULTS.md', import.meta.url);
const title =
  '# Benchmarks\n\nWritten by the commands named in each section. Ratios within one run count, not seconds.\n';

/** Puts a section (Markdown without its markers) into bench/RESULTS.md, in place of the one of the same name. */
export function writeSection(name, text) {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : title;
  const start = `<!-- ${name}:start -->`;
  const end = `<!-- ${name}:end -->`;
  const section = `${start}\n${text.trim()}\n${end}`;
  const from = before.indexOf(start);
  const to = before.indexOf(end);
  const after =
    from >= 0 && to > from
      ? before.slice(0, from) + section + before.slice(to + end.length)
      : `${before.trimEnd()}\n\n${section}\n`;
  writeFileSync(path, after);
}

/** The machine, the versions and the day, in a line. */
export function machine() {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const day = new Date().toISOString().slice(0, 10);
  return `${day}, ${cpus().length} x ${cpu.model.trim()}, ${memory} GiB, ${process.platform}, Node ${process.version}`;
}
