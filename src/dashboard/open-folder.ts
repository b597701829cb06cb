import { messageOf } from '../errors.js';
import { h } from '../view/dom.js';
import { droppedFiles } from './logdir.js';

/* How a folder of this computer is opened: dropped onto the page, or chosen. */

/** Receives the event files of a folder, by path. */
type Open = (name: string, files: ReadonlyMap<string, File>) => void;

/** Opens what is dropped anywhere onto the page. @param complain is told what cannot be read */
export function acceptDrops(open: Open, complain: (problem: string) => void): void {
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', (event) => {
    event.preventDefault();
    const items = event.dataTransfer?.items;
    if (items === undefined) return;
    droppedFiles(items).then(
      ({ name, files }) => open(name, files),
      (error) => complain(`What was dropped cannot be read: ${messageOf(error)}`),
    );
  });
}

/** A way to open a folder without dropping it. */
export function folderChooser(open: Open): HTMLElement {
  const input = h('input', { type: 'file', multiple: true, attributes: { webkitdirectory: '' } });
  input.onchange = () => {
    const chosen = [...(input.files ?? [])];
    const [name = ''] = chosen[0]?.webkitRelativePath.split('/') ?? [];
    const files = new Map(
      chosen.flatMap((file) => {
        const path = file.webkitRelativePath.split('/').slice(1).join('/') || file.name;
        return /tfevents/.test(file.name) ? [[path, file] as const] : [];
      }),
    );
    open(name, files);
  };
  return h(
    'label',
    { className: 'panel' },
    h('span', { className: 'name' }, 'Another logdir, of this computer'),
    input,
  );
}
