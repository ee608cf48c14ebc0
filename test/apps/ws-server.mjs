// A test application: a WebSocket server of the library `ws` that does what the path says.
import http from 'node:http';
import { WebSocketServer } from 'ws';

const server = http.createServer((request, response) => response.end(`plain ${request.url}\n`));
const sockets = new WebSocketServer({ server, perMessageDeflate: true, maxPayload: 8 * 1024 * 1024 });
sockets.on('connection', (socket, request) => {
  socket.on('error', () => undefined);
  const [, verb, argument] = request.url.split('/');
  switch (verb) {
    case 'close':
      socket.close(Number(argument), 'as asked');
      break;
    case 'greet':
      socket.send('hello');
      socket.send('world');
      break;
    case 'cut':
      socket.send('cut', () => request.socket.destroy());
      break;
    case 'ping':
      socket.on('pong', (data) => socket.send(`pong ${data}`));
      socket.ping('are you there');
      break;
    case 'fragments':
      for (let i = 0; i < 9; i++) socket.send(`part ${i};`, { fin: false });
      socket.send('end', { fin: true });
      break;
  }
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(`listens on ${process.env.PORT}`));
