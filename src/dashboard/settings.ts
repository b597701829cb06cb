import { h } from '../view/dom.js';
import type { Look, Scene } from './scene.js';

/**
 * What may be set on a page of the dashboard.
 *
 * @param smooth is told of the smoothing while its slider moves
 */
export function settingsOf(scene: Scene, tab: string, smooth: (weight: number) => void): HTMLElement[] {
  const { look } = scene;
  if (tab === 'histograms') {
    const mode = choice(
      'How histograms stand',
      [
        ['offset', 'offset'],
        ['overlay', 'overlay'],
      ],
      look.histograms,
    );
    mode.onchange = () => scene.change({ histograms: mode.value as Look['histograms'] });
    return [mode];
  }
  if (tab !== 'scalars') return [];
  const words = h('output', {}, look.smoothing.toFixed(2));
  const smoothing = h('input', { type: 'range', min: '0', max: '0.99', step: '0.01', id: 'smoothing' });
  smoothing.value = String(look.smoothing);
  smoothing.oninput = () => {
    words.textContent = Number(smoothing.value).toFixed(2);
    smooth(Number(smoothing.value));
  };
  const axes: [string, string][] = [
    ['step', 'step'],
    ['relative', 'hours since the start'],
    ['wall', 'time of day'],
  ];
  const axis = choice('Horizontal axis', axes, look.axis);
  axis.onchange = () => scene.change({ axis: axis.value as Look['axis'] });
  const box = (title: string, name: 'isLog' | 'clipsOutliers' | 'groups') => {
    const input = h('input', { type: 'checkbox', checked: look[name] });
    input.onchange = () => scene.change({ [name]: input.checked });
    return h('label', { className: 'row' }, input, title);
  };
  return [
    h('label', { className: 'name', htmlFor: 'smoothing' }, 'Smoothing'),
    h('div', { className: 'row' }, smoothing, words),
    axis,
    box('logarithmic axis', 'isLog'),
    box('leave out outliers', 'clipsOutliers'),
    box('mean and range of each folder', 'groups'),
  ];
}

function choice(label: string, options: readonly [string, string][], chosen: string): HTMLSelectElement {
  const select = h('select', { attributes: { 'aria-label': label } });
  for (const [value, title] of options) select.append(h('option', { value, selected: value === chosen }, title));
  return select;
}
