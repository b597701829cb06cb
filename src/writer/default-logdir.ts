import { hostname } from '#platform';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * `runs/<MMMdd_HH-MM-SS>_<host><comment>` in local time, as tensorboardX and torch.utils.tensorboard name it
 * (https://github.com/lanpa/tensorboardX/blob/master/tensorboardX/writer.py). A `/` in the comment becomes `_`.
 */
export function defaultLogdir(comment = '', now = new Date()): string {
  const two = (part: number) => String(part).padStart(2, '0');
  const date = `${months[now.getMonth()]}${two(now.getDate())}`;
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('-');
  const name = `${date}_${time}_${hostname()}${comment}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is exactly what must not reach a file system
  return `runs/${name.replace(/[\u0000-\u001f\u007f\\/]/g, '_')}`;
}
