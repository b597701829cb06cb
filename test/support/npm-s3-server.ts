import { execFileSync, fork } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('./s3rver/', import.meta.url));

/** How clients reach the server. */
export interface NpmS3Server {
  /** What s3Store and s3Output need to know. */
  readonly options: {
    readonly bucket: string;
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  /** The same for programs. */
  readonly environment: Record<string, string>;
  close(): void;
}

/**
 * Starts an S3 server by others (npm: @20minutes/s3rver), installed on first use from a lockfile of its own. It computes every
 * signature itself. It takes a PUT with If-None-Match as a plain one, has no UploadPartCopy, escapes quotes and ampersands of keys
 * twice, and does not see folders that hold only folders: what rests on these is tested with our own S3Server.
 */
export async function startNpmS3Server(): Promise<NpmS3Server> {
  if (!existsSync(join(folder, 'node_modules', '@20minutes'))) {
    execFileSync('npm', ['ci', '--silent', '--no-audit', '--no-fund'], { cwd: folder });
  }
  const data = mkdtempSync(join(tmpdir(), 'delve-s3-'));
  const child = fork(join(folder, 'server.mjs'), [data], {
    execArgv: ['--openssl-legacy-provider'], // its continuation tokens are enciphered with DES
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(Number(message)));
    child.once('exit', (code) => reject(new Error(`the S3 server ended with code ${code}`)));
  });
  const credentials = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };
  const endpoint = `http://127.0.0.1:${port}`;
  return {
    options: { bucket: 'logs', endpoint, region: 'us-east-1', credentials },
    environment: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    close() {
      child.kill();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
