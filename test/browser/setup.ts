import { afterEach, beforeEach, expect, vi } from 'vitest';
import { complain, takeComplaints } from './console.js';

window.addEventListener('error', ({ message }) => complain(`error event: ${message}`));
window.addEventListener('unhandledrejection', ({ reason }) => complain(`unhandled rejection: ${reason}`));

// The page's console stays clean: no error from anybody, no warning of ours that the test did not ask for.
beforeEach(() => {
  vi.spyOn(console, 'error').mockImplementation((...words) => complain(`error: ${words.join(' ')}`));
  vi.spyOn(console, 'warn').mockImplementation((...words) => {
    if (String(words[0]).startsWith('(delve-tensorboard)')) complain(words.join(' '));
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  expect(takeComplaints()).toEqual([]);
});
