// A test application: answers with what it received, or as the path says.
import http from 'node:http';
import { Readable } from 'node:stream';

const name = process.env.NAME ?? 'echo';

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const url = new URL(request.url, 'http://localhost');
    const body = Buffer.concat(chunks);
    response.setHeader('x-app', name);
    const [, verb, argument] = url.pathname.split('/');
    switch (verb) {
      case 'status':
        response.statusCode = Number(argument);
        response.end(`status ${argument}\n`);
        break;
      case 'delay':
        setTimeout(() => response.end('late\n'), Number(argument));
        break;
      case 'stall':
        response.write('first part\n');
        break;
      case 'cut':
        response.writeHead(200, { 'content-length': '1000' });
        response.write('only a part', () => response.socket.destroy());
        break;
      case 'bytes':
        response.end(Buffer.alloc(Number(argument), 0x61));
        break;
      case 'pour': {
        // Large, made as it is taken.
        const part = Buffer.alloc(65_536, 0x61);
        response.setHeader('content-length', argument);
        Readable.from(
          (function* () {
            for (let left = Number(argument); left > 0; left -= part.length) yield part.subarray(0, left);
          })(),
        ).pipe(response);
        break;
      }
      case 'stream': {
        let left = Number(argument);
        const next = () => (left-- > 0 ? (response.write(`part ${left}\n`), setTimeout(next, 5)) : response.end());
        next();
        break;
      }
      case 'trailers':
        response.writeHead(200, { trailer: 'x-checksum' });
        response.write('body\n');
        response.addTrailers({ 'x-checksum': 'abc' });
        response.end();
        break;
      case 'early':
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
        response.end('hinted\n');
        break;
      case 'size':
        response.end(`${body.length}\n`);
        break;
      case 'close':
        response.setHeader('connection', 'close');
        response.end('bye\n');
        break;
      default:
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({
            name,
            method: request.method,
            url: request.url,
            version: request.httpVersion,
            headers: request.headers,
            rawHeaders: request.rawHeaders,
            trailers: request.trailers,
            body: body.toString(),
          }),
        );
    }
  });
});
server.keepAliveTimeout = Number(process.env.KEEP_ALIVE_MS ?? 5000);
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(`${name} listens on ${process.env.PORT}`));
// A second port of the service, where it has one of this name.
if (process.env.PORT_MORE !== undefined)
  http.createServer(server.listeners('request')[0]).listen(Number(process.env.PORT_MORE), '127.0.0.1');
