import type { ViewMemory } from './saturation-view.js';

/** Keeps what is looked at behind the # of the page's own address, so that a link shows the same. */
export const addressMemory: ViewMemory = {
  read: () => Object.fromEntries(new URLSearchParams(location.hash.slice(1))),
  write(state) {
    history.replaceState(history.state, '', `#${new URLSearchParams(state)}`);
  },
};
