/** TensorBoard's messages by protobufjs: `delve-tensorboard/proto`. */

export { messageType } from './event/message-type.js';
export type {} from './platform/globals.js';
