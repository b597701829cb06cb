import protobuf from 'protobufjs/light.js';
import { descriptor } from '../proto/tensorboard.descriptor.js';

/* What the library itself encodes by a table of a few kilobytes, as types of protobufjs: for messages that no addX call writes. */

let root: protobuf.Root | undefined;

/**
 * One of TensorBoard's messages as a type of protobufjs, which encodes, decodes, verifies and prints it: `Event`, `Summary`,
 * `GraphDef`, `HParamsPluginData` and whatever else is in proto/.
 *
 * @param name with the names of the messages that it is in, such as `Summary.Value`
 * @throws RangeError if there is no such message
 */
export function messageType(name: string): protobuf.Type {
  root ??= protobuf.Root.fromJSON(descriptor);
  try {
    return root.lookupType(`tensorboard.${name}`);
  } catch (cause) {
    throw new RangeError(`messageType: expected a message of proto/, such as 'Event', got '${name}'`, { cause });
  }
}
