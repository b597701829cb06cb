// npm run playground — the page of examples/browser, bundled and served on this computer: http://127.0.0.1:8080
// With --out <folder> it is written there instead, for any web server.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { rolldown } from 'rolldown';

const { values: options } = parseArgs({
  options: { out: { type: 'string' }, port: { type: 'string', default: '8080' } },
});
const folder = new URL('../examples/browser/', import.meta.url).pathname;

const bundle = await rolldown({
  input: join(folder, 'main.js'),
  platform: 'browser',
  logLevel: 'silent',
  resolve: { conditionNames: ['browser', 'import', 'default'] },
});
const { output } = await bundle.generate({ format: 'esm', minify: true, codeSplitting: false });
await bundle.close();
const script = output[0].code;

if (options.out) {
  mkdirSync(options.out, { recursive: true });
  for (const name of ['index.html', 'style.css']) cpSync(join(folder, name), join(options.out, name));
  writeFileSync(join(options.out, 'main.js'), script);
  console.log(`the playground is in ${options.out}`);
} else {
  const types = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' };
  const server = createServer(({ url }, response) => {
    const name = url === '/' ? 'index.html' : url.slice(1);
    if (!['index.html', 'style.css', 'main.js'].includes(name)) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': `${types[extname(name)]}; charset=utf-8` });
    response.end(name === 'main.js' ? script : readFileSync(join(folder, name)));
  });
  server.listen(Number(options.port), '127.0.0.1', () => {
    console.log(`the playground is at http://127.0.0.1:${server.address().port}/ – stop with ^C`);
  });
}
