// A test application for long transfers: /download/N answers with N bytes of which every block of 64 KiB names its place, /upload
// answers with the length and the hash of what it was sent, everything else with its name.
import { createHash } from 'node:crypto';
import http from 'node:http';

const block = Buffer.alloc(65_536);

function download(response, size) {
  let sent = 0;
  const fill = () => {
    while (sent < size) {
      const part = Buffer.from(block.subarray(0, Math.min(block.length, size - sent)));
      if (part.length >= 4) part.writeUInt32BE(sent / block.length);
      sent += part.length;
      if (!response.write(part)) {
        response.once('drain', fill);
        return;
      }
    }
    response.end();
  };
  response.writeHead(200, { 'content-length': size });
  fill();
}

http
  .createServer((request, response) => {
    const [, verb, size] = request.url.split('/');
    if (verb === 'download') download(response, Number(size));
    else if (verb === 'upload') {
      const hash = createHash('sha256');
      let length = 0;
      request.on('data', (data) => {
        hash.update(data);
        length += data.length;
      });
      request.on('end', () => response.end(`${length} ${hash.digest('hex')}`));
    } else response.end(process.env.NAME ?? 'transfer');
  })
  .listen(Number(process.env.PORT), '127.0.0.1');
