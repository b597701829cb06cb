import { expect, it } from 'vitest';
import { eventFileName } from '../../src/output/event-file-name.js';

it('sorts after every event file in the folder, whatever the clock says, and never repeats', () => {
  const late = 'events.out.tfevents.9000000000.elsewhere.1.0';
  const names = Array.from({ length: 20 }, () => eventFileName(['model.json', late], '.v2'));
  for (const name of names) expect(name).toMatch(/^events\.out\.tfevents\.9000000001\.[-\w.]+\.\d+\.\d{5}\.v2$/);
  expect([...names].sort()).toEqual(names);
  expect(new Set(names).size).toBe(20);
  expect(eventFileName([], '')).toMatch(new RegExp(`tfevents\\.${String(Date.now()).slice(0, 8)}`));
});
