// Forked: node server.mjs FOLDER. Tells its parent the port once it serves the bucket "logs" out of FOLDER, and ends with it.
import S3rver from '@20minutes/s3rver';

const server = new S3rver({
  address: '127.0.0.1',
  port: 0,
  silent: true,
  directory: process.argv[2],
  configureBuckets: [{ name: 'logs' }],
});
const address = await server.run();
process.send(address.port);
process.once('disconnect', () => process.exit());
