// A test application: refuses whoever asks whether to send a body (Expect: 100-continue), and counts nothing else as special.
import http from 'node:http';

const server = http.createServer((request, response) => {
  request.resume();
  request.on('end', () => response.end('yes\n'));
});
server.on('checkContinue', (_, response) => response.writeHead(417, { connection: 'close' }).end('no\n'));
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(`listens on ${process.env.PORT}`));
