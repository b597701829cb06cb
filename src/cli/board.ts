/** `board`: the user's own TensorBoard, with the Saturation tab. */
import { type Terminal, UsageError } from './terminal.js';

/** How TensorBoard may be started, and a command that tells whether it can be. */
const starts: readonly { program: string; args: readonly string[]; test?: readonly string[] }[] = [
  { program: 'tensorboard', args: [] },
  ...['python3', 'python'].map((program) => ({
    program,
    args: ['-m', 'tensorboard.main'],
    test: ['-c', 'import tensorboard.main'],
  })),
];

/**
 * Starts TensorBoard with the tab. TensorBoard finds the plugin by the path of its wheel, so nothing is installed.
 *
 * @param args what TensorBoard is given as it is; a first one without a dash is the logdir
 * @returns TensorBoard's exit code; 1 if there is none
 */
export async function board(terminal: Terminal, args: readonly string[]): Promise<number> {
  const [first, ...others] = args;
  if (first === undefined) throw new UsageError("expected a logdir, as in 'board runs' or 'board --logdir runs'");
  const forwarded = first.startsWith('-') ? args : ['--logdir', first, ...others];
  for (const { program, args: before, test } of starts) {
    const environment = terminal.pluginEnvironment();
    // Python exists without TensorBoard too, and would say so in many lines.
    if (test !== undefined && (await terminal.run(program, test, { quiet: true })) !== 0) continue;
    const code = await terminal.run(program, [...before, ...forwarded], { environment });
    if (code !== undefined) return code;
  }
  terminal.writeError(
    "delve-tensorboard: TensorBoard was not found. Install it with 'pip install tensorboard' and try again, or use 'delve-tensorboard serve <logdir>', which needs no Python.\n",
  );
  return 1;
}
