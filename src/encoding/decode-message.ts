import protobuf from 'protobufjs/minimal.js';

/** Longer content of a plugin is not looked into: a few bytes of a file may take a hundred in memory. */
const maxContentBytes = 2 ** 24;

/** A message type of `src/proto`. */
export interface MessageType<T> {
  decode(reader: protobuf.Reader): T;
}

/**
 * Decodes a message; what this package does not know in it is not kept.
 *
 * @throws Error when the bytes are not that message
 */
export function decodeMessage<T>(type: MessageType<T>, bytes: Uint8Array): T {
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = true;
  return type.decode(reader);
}

/**
 * Decodes what a plugin keeps for itself; undefined where there is nothing, or something else. It is the plugin's own
 * affair, and the summary is readable without it.
 */
export function decodeContent<T>(type: MessageType<T>, bytes: Uint8Array): T | undefined {
  if (bytes.length === 0 || bytes.length > maxContentBytes) return undefined;
  try {
    return decodeMessage(type, bytes);
  } catch {
    return undefined;
  }
}
