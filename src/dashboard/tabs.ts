import { audioCards, histogramCards, imageCards, prCurveCards, textCards } from './other-cards.js';
import type { RunContent } from './run-content.js';
import { scalarCards } from './scalars.js';

/** The pages, in the order of their tabs: what they are called, and whether a run has something for them. */
export const tabs = [
  { id: 'scalars', title: 'Scalars', has: ({ scalars }: RunContent) => scalars.size > 0, cards: scalarCards },
  { id: 'saturation', title: 'Saturation', has: ({ saturation }: RunContent) => saturation !== undefined },
  {
    id: 'histograms',
    title: 'Histograms',
    has: ({ histograms }: RunContent) => histograms.size > 0,
    cards: histogramCards,
  },
  { id: 'images', title: 'Images', has: ({ images }: RunContent) => images.size > 0, cards: imageCards },
  { id: 'audio', title: 'Audio', has: ({ audio }: RunContent) => audio.size > 0, cards: audioCards },
  { id: 'text', title: 'Text', has: ({ text }: RunContent) => text.size > 0, cards: textCards },
  { id: 'hparams', title: 'Hparams', has: ({ hparams }: RunContent) => hparams !== undefined },
  { id: 'pr', title: 'PR curves', has: ({ prCurves }: RunContent) => prCurves.size > 0, cards: prCurveCards },
] as const;

/** The name of a page. */
export type TabId = (typeof tabs)[number]['id'];
