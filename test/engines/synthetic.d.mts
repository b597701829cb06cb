import type { ShardMap } from '../../src/scale.js';

export declare const mapSynthetic: ShardMap;
