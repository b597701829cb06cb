import { DroppedLogdir, type ListedRun, type Logdir } from './logdir.js';
import type { WorkerAnswer, WorkerRequest } from './worker.js';

/** The page's side of the worker that reads runs. */
export class RunReader {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: WorkerAnswer) => void>();
  #nextId = 0;

  /** @param complain is told if the worker cannot run */
  constructor(complain: (problem: string) => void) {
    this.#worker = new Worker(new URL('./worker.js', document.baseURI), { type: 'module' });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerAnswer>) => {
      this.#waiting.get(data.id)?.(data);
      this.#waiting.delete(data.id);
    };
    this.#worker.onerror = ({ message }) => complain(`The reader cannot run: ${message || 'worker.js is missing'}`);
  }

  /** Reads all of a run. */
  read(run: string, files: ListedRun['files'], logdir: Logdir): Promise<WorkerAnswer> {
    const id = this.#nextId++;
    const dropped = logdir instanceof DroppedLogdir ? files.map((file) => logdir.fileOf(file)) : undefined;
    const request: WorkerRequest = { id, run, files, dropped, base: baseOfPage(), query: location.search };
    const answer = new Promise<WorkerAnswer>((resolve) => this.#waiting.set(id, resolve));
    this.#worker.postMessage(request);
    return answer;
  }
}

/** The address of the folder that the page lies in. */
export function baseOfPage(): string {
  return new URL('.', location.href.split(/[?#]/)[0]).href;
}
