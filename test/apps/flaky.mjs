// A test application that fails as it is told and counts what reaches it: retries that work cannot be seen from outside.
// /fail/KEY/N/STATUS answers STATUS the first N times for KEY; /reset/KEY/N cuts those connections; /hang/KEY/N never answers
// them; /slow/KEY/MS answers late. /counts tells how often each key came. Everything else answers 200, or $STATUS.
import http from 'node:http';

const counts = {};
const server = http.createServer((request, response) => {
  request.resume();
  response.setHeader('x-app', process.env.NAME ?? 'flaky');
  const [, verb, key, amount, status] = new URL(request.url, 'http://localhost').pathname.split('/');
  if (verb === 'counts') {
    response.end(JSON.stringify(counts));
    return;
  }
  const seen = (counts[key ?? ''] = (counts[key ?? ''] ?? 0) + 1);
  const fails = seen <= Number(amount);
  if (verb === 'fail' && fails) response.statusCode = Number(status);
  if (verb === 'reset' && fails) {
    response.socket.destroy();
    return;
  }
  if (verb === 'hang' && fails) return;
  if (verb === 'slow') {
    setTimeout(() => response.end('late\n'), Number(amount));
    return;
  }
  if (verb !== 'fail' && process.env.STATUS !== undefined) response.statusCode = Number(process.env.STATUS);
  response.end(`${seen}\n`);
});
// Speaks "echo" after a switch of protocols.
server.on('upgrade', (request, socket, head) => {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${request.headers.upgrade}\r\nx-app: ${process.env.NAME}\r\n\r\n`,
  );
  socket.write(head);
  socket.on('error', () => undefined);
  socket.on('data', (data) => socket.write(data));
  socket.on('end', () => socket.end('bye'));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
