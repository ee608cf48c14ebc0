// A test application: answers of any size from one piece of memory, as fast as they are taken, and counts bodies without keeping
// them. GET /N: N bytes; anything with a body: its length.
import http from 'node:http';

const piece = Buffer.alloc(64 * 1024, 0x61);

const server = http.createServer((request, response) => {
  let received = 0;
  request.on('data', (chunk) => (received += chunk.length));
  request.on('end', () => {
    if (request.method !== 'GET') return response.end(`${received}\n`);
    let left = Number(request.url.slice(1));
    response.setHeader('content-length', left);
    const more = () => {
      while (left > 0) {
        const size = Math.min(left, piece.length);
        left -= size;
        if (!response.write(piece.subarray(0, size))) return response.once('drain', more);
      }
      response.end();
    };
    more();
  });
});
server.keepAliveTimeout = 600_000;
server.listen(Number(process.env.PORT), '127.0.0.1', 4096, () => console.log(`listens on ${process.env.PORT}`));
