// Model Context Protocol: what an assistant asks `delve-tensorboard mcp`, asked by a program. Needs @modelcontextprotocol/sdk.
//   node examples/mcp.mjs [logdir]
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { SummaryWriter } from 'delve-tensorboard';

const logdir = process.argv[2] ?? 'runs/examples/mcp';
const writer = new SummaryWriter(logdir);
for (let step = 0; step < 100; step++) {
  writer.addScalar('train/loss', step === 60 ? Number.NaN : Math.exp(-step / 30), step);
}
await writer.close();

// Outside of this repository: { command: 'npx', args: ['delve-tensorboard', 'mcp', logdir] }
const cli = fileURLToPath(import.meta.resolve('delve-tensorboard').replace(/index\.js$/, 'cli.js'));
const client = new Client({ name: 'example', version: '1.0.0' });
await client.connect(new StdioClientTransport({ command: process.execPath, args: [cli, 'mcp', logdir] }));
const { tools } = await client.listTools();
console.log(tools.map(({ name }) => name).join(', '));
for (const [name, args] of [
  ['read_scalars', { points: 3 }],
  ['lint', {}],
]) {
  const { content } = await client.callTool({ name, arguments: args });
  console.log(`${name}: ${content[0].text}`);
}
await client.close();
