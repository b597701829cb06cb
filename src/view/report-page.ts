import { messageOf } from '../errors.js';
import { addressMemory } from './address.js';
import { unpackRuns } from './packed-runs.js';
import { SaturationView } from './saturation-view.js';
import { MemorySource } from './sources.js';

/*
 * The script of a report, which the build makes into one text (generated/report-script.ts). The page has an element for the
 * view, the packed runs as base64 in an element that no browser runs or shows, and what it says without scripts.
 */

const data = document.getElementById('runs')?.textContent ?? '';
const place = document.getElementById('view');
if (place !== null) {
  try {
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    new SaturationView(place, new MemorySource(unpackRuns(bytes)), { memory: addressMemory });
    // The view shows the same and more.
    document.getElementById('words')?.removeAttribute('open');
  } catch (error) {
    place.textContent = `The data in this file cannot be shown: ${messageOf(error)}`;
    place.style.padding = '8px 16px';
  }
}
