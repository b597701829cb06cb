/** The command `completions`: scripts by which shells complete this command line. */
import { UsageError } from './terminal.js';

/** A command as a shell needs to know it. */
export interface KnownCommand {
  readonly name: string;
  /** A few words without line breaks. */
  readonly description: string;
  /** With their dashes. */
  readonly options: readonly string[];
}

const program = 'delve-tensorboard';

/** The script of a shell. @throws UsageError if the shell is not known */
export function completions(shell: string | undefined, commands: readonly KnownCommand[]): string {
  if (shell === 'bash') return bash(commands);
  if (shell === 'zsh') return zsh(commands);
  if (shell === 'fish') return fish(commands);
  throw new UsageError(`expected bash, zsh or fish, got ${shell === undefined ? 'nothing' : `"${shell}"`}`);
}

function bash(commands: readonly KnownCommand[]): string {
  const cases = commands.map(({ name, options }) => `    ${name}) words="${options.join(' ')}" ;;`);
  return `_delve_tensorboard() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help --version" -- "$current"))
    return
  fi
  [[ "$current" == -* ]] || return
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _delve_tensorboard ${program}
`;
}

function zsh(commands: readonly KnownCommand[]): string {
  const names = commands.map(
    ({ description, name }) => `    ${quoted(`${name}:${description.replaceAll(':', '\\:')}`)}`,
  );
  const cases = commands.map(({ name, options }) => `    ${name}) compadd -- ${options.join(' ')} ;;`);
  return `#compdef ${program}
_delve_tensorboard() {
  local -a commands
  commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  if [[ $PREFIX != -* ]]; then
    _files
    return
  fi
  case $words[2] in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _${program} ]]; then
  _delve_tensorboard "$@"
else
  compdef _delve_tensorboard ${program}
fi
`;
}

function fish(commands: readonly KnownCommand[]): string {
  const lines = commands.flatMap(({ description, name, options }) => [
    `complete -c ${program} -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`,
    ...options.map((option) => `complete -c ${program} -n '__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`),
  ]);
  return `${lines.join('\n')}\n`;
}

/** A text that no shell reads as anything else. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '')}'`;
}
