import type { ViewMemory } from './saturation-view.js';
import { SaturationView } from './saturation-view.js';
import { ServedSource } from './sources.js';

/*
 * The view as a tab of TensorBoard. The tab is a page of its own in an iframe of TensorBoard's page, which tells it by
 * messages when it has read its files again. These messages are those of tensorboard/components/experimental/plugin_lib
 * (2.21): a MessageChannel whose other end is posted to the parent. No npm package has them.
 */

/** Draws the tab. TensorBoard calls this once the page has loaded. */
export async function render(): Promise<void> {
  document.title = 'Saturation';
  document.documentElement.style.height = '100%';
  Object.assign(document.body.style, { margin: '0', height: '100%' });
  const source = new ServedSource('./');
  const view = new SaturationView(document.body, source, { memory: hashMemory, followTheme: followHostTheme });
  listenToHost(() => void view.refresh());
}

/** Calls back when TensorBoard has reloaded its data or found other runs. */
function listenToHost(changed: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => {
    const { type, id, isReply } = JSON.parse(String(data)) as { type: string; id: number; isReply: boolean };
    if (isReply) return;
    if (type === 'experimental.DataReloaded' || type === 'experimental.RunsChanged') changed();
    port1.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
  };
  window.parent.postMessage('experimental.bootstrap', '*', [port2]);
}

const prefix = 'p.saturation.';

/**
 * Keeps the state behind the # of TensorBoard's own address, as `p.saturation.<key>`. Its message for that
 * (GetURLPluginData) answers {} while the page loads, in 2.21; but an iframe of the same origin may read the address.
 */
const hashMemory: ViewMemory = {
  read() {
    const state: Record<string, string> = {};
    for (const part of hashParts()) {
      const [key, value = ''] = part.split('=').map(decoded);
      if (key.startsWith(prefix)) state[key.slice(prefix.length)] = value;
    }
    return state;
  },
  write(state) {
    const others = hashParts().filter((part) => !part.startsWith(prefix));
    // Another tab's address is left alone: this page goes on in the background.
    if (others[0] !== 'saturation') return;
    const own = Object.entries(state).map(([key, value]) => `${prefix}${key}=${encodeURIComponent(value)}`);
    const { history } = window.parent;
    history.replaceState(history.state, '', `#${[...others, ...own].join('&')}`);
  },
};

function hashParts(): string[] {
  try {
    return window.parent.location.hash.slice(1).split('&').filter(Boolean);
  } catch {
    // A page of another origin around TensorBoard: no links.
    return [];
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Follows TensorBoard's dark mode: a class of its body. */
function followHostTheme(apply: (isDark: boolean) => void): () => void {
  try {
    const { body } = window.parent.document;
    const tell = () => apply(body.classList.contains('dark-mode'));
    const observer = new MutationObserver(tell);
    observer.observe(body, { attributes: true, attributeFilter: ['class'] });
    tell();
    return () => observer.disconnect();
  } catch {
    apply(false);
    return () => {};
  }
}
