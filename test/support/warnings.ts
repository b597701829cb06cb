import { beforeEach, vi } from 'vitest';

/** Silences Node's warnings in the tests of this file or `describe` block; returns those of the current test. */
export function catchWarnings(): readonly string[] {
  const warnings: string[] = [];
  beforeEach(() => {
    warnings.length = 0;
    const spy = vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)));
    return () => void spy.mockRestore();
  });
  return warnings;
}
