/**
 * Lets `@tensorflow/tfjs-node` 4.22 start on Node 23 and later: `import 'delve-tensorboard/tfjs-node-fix'` before it.
 *
 * tfjs-node calls `util.isNullOrUndefined` and `util.isArray`, which Node 23 removed, in its first operation (tensorflow/tfjs#8609;
 * mended in #8425, which no release has). This module puts these two functions back if they are missing, and does nothing else.
 *
 * @module
 */
import './platform/removed-util.js';
