/** The projector's configuration, in both directions: which embeddings a run has, and in which files. */
import { utf8Encoder } from '../encoding/bytes.js';

/** One embedding in the projector's configuration. */
export interface EmbeddingEntry {
  /** Its name in the projector, `<tag>:<step>`. */
  readonly tensorName: string;
  /** Its `embeddings { ... }` block, in protobuf's text format. */
  readonly config: string;
}

/** Its name, beside the event files of a run. */
export const projectorConfigFile = 'projector_config.pbtxt';

/** An entry of the configuration with such lines. */
export function projectorBlock(tensorName: string, lines: readonly string[]): EmbeddingEntry {
  return { tensorName, config: `embeddings {\n${lines.map((line) => `  ${line}\n`).join('')}}\n` };
}

/**
 * Adds an embedding to the projector's configuration; an earlier one of the same name is replaced.
 *
 * @param config the whole configuration so far; the entries of other programs stay in it
 */
export function addToProjectorConfig(config: string, entry: EmbeddingEntry): string {
  const name = `  tensor_name: ${quote(entry.tensorName)}\n`;
  const others = config.split(/^(?=embeddings \{)/m).filter((block) => !block.includes(name));
  const before = others.join('');
  return `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${entry.config}`;
}

/** What the projector's configuration says of an embedding. */
export interface ProjectorEntry {
  readonly tensorName: string;
  /** Paths are relative to the run's folder; undefined where the configuration has none. */
  readonly tensorPath?: string;
  readonly metadataPath?: string;
  readonly spritePath?: string;
  readonly tensorShape: readonly number[];
}

/**
 * Reads a projector's configuration: the inverse of `addToProjectorConfig`, for what any program or person wrote in protobuf's text
 * format, with lists and texts in several parts.
 */
export function readProjectorConfig(config: string): ProjectorEntry[] {
  const entries: Record<string, string[]>[] = [];
  const path: { name: string; isList: boolean }[] = [];
  let [name, isList, before] = ['', false, ''];
  for (const [token] of config.matchAll(tokens)) {
    if (token.startsWith('#')) continue;
    const isText = /^["']/.test(token);
    if (/^[{<]$/.test(token)) {
      path.push({ name, isList });
      isList = false;
      if (path.length === 1) entries.push(Object.create(null));
    } else if (/^[}>]$/.test(token)) ({ name, isList } = path.pop() ?? { name: '', isList: false });
    else if (/^[[\]]$/.test(token)) isList = token === '[';
    else if (!/^[:,;]$/.test(token)) {
      const isValue = isText || isList || before === ':';
      if (!isValue) name = token;
      else if (path[0]?.name === 'embeddings') {
        const key = [...path.slice(1).map((part) => part.name), name].join('.');
        const entry = entries[entries.length - 1];
        entry[key] ??= [];
        // Texts beside each other are parts of one.
        const parts = isText && /^["']/.test(before) ? (entry[key].pop() ?? '') : '';
        entry[key].push(`${parts}${unquote(token)}`);
      }
    }
    before = token;
  }
  return entries
    .filter((entry) => Object.keys(entry).length > 0)
    .map((entry) => ({
      tensorName: entry.tensor_name?.[0] ?? '',
      tensorPath: entry.tensor_path?.[0],
      metadataPath: entry.metadata_path?.[0],
      spritePath: entry['sprite.image_path']?.[0],
      tensorShape: (entry.tensor_shape ?? []).map(Number),
    }));
}

/** Texts, comments, marks, and whatever else stands together. */
const tokens = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|#[^\n]*|[{}<>[\]:,;]|[^\s{}<>[\]:,;"'#]+/g;

/** A string in protobuf's text format: https://protobuf.dev/reference/protobuf/textformat-spec/#string */
export function quote(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped
  const escaped = text.replace(/[\\"\u0000-\u001f\u007f]/g, (character) => {
    return character === '\\' || character === '"'
      ? `\\${character}`
      : `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
  });
  return `"${escaped}"`;
}

/** The inverse of `quote`; numbers stay. */
function unquote(token: string): string {
  if (!/^["']/.test(token)) return token;
  const letters: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
  const bytes: number[] = [];
  const parts = token.slice(1, -1).matchAll(/\\([0-7]{1,3})|\\[xX]([\da-fA-F]{1,2})|\\([\s\S])|[^\\]+/g);
  for (const [part, octal, hex, letter] of parts) {
    if (octal !== undefined) bytes.push(Number.parseInt(octal, 8));
    else if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else
      for (const byte of utf8Encoder().encode(letter === undefined ? part : (letters[letter] ?? letter)))
        bytes.push(byte);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
