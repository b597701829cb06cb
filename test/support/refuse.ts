import { onTestFinished, vi } from 'vitest';
import { sourceFiles } from '../../src/platform/node.js';

const real = { ...sourceFiles };

/** Has the file system refuse an operation on a path, for the rest of the test: a superuser is refused nothing. */
export function refuse(operation: 'list' | 'open', refused: string): void {
  const refusal = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
  const spy = vi.spyOn(sourceFiles, operation).mockImplementation(async (path: string | URL) => {
    if (path === refused) throw refusal;
    return real[operation](path as string) as Promise<never>;
  });
  onTestFinished(() => spy.mockRestore());
}
