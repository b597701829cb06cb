/** The projector's configuration, in both directions: which embeddings a run has, and in which files. */
import { lazy } from '../encoding/bytes.js';

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

/** Reads a projector's configuration: the inverse of `addToProjectorConfig`, for what any program wrote. */
export function readProjectorConfig(config: string): ProjectorEntry[] {
  const entries: Record<string, string[]>[] = [];
  const path: string[] = [];
  let name = '';
  for (const [token] of config.matchAll(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|#[^\n]*|[{}]|[^\s{}:,;"'#]+/g)) {
    if (token.startsWith('#')) continue;
    if (token === '{') {
      path.push(name);
      if (path.length === 1) entries.push({});
    } else if (token === '}') path.pop();
    else if (/^[A-Za-z_]/.test(token)) name = token;
    else if (path[0] === 'embeddings') {
      const key = [...path.slice(1), name].join('.');
      const entry = entries[entries.length - 1];
      entry[key] ??= [];
      entry[key].push(unquote(token));
    }
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

const utf8 = /* @__PURE__ */ lazy(() => new TextEncoder());

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
  const letters: Record<string, string> = { n: '\n', r: '\r', t: '\t' };
  const bytes: number[] = [];
  for (const [part, octal, letter] of token.slice(1, -1).matchAll(/\\([0-7]{1,3})|\\([\s\S])|[^\\]+/g)) {
    if (octal !== undefined) bytes.push(Number.parseInt(octal, 8));
    else for (const byte of utf8().encode(letter === undefined ? part : (letters[letter] ?? letter))) bytes.push(byte);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
