// A service that speaks no HTTP: greets, then answers every line with a number.
import net from 'node:net';

let entries = 0;

net
  .createServer((socket) => {
    socket.write('ledger ready\n');
    socket.on('data', (data) => {
      for (const line of data.toString().split('\n').filter(Boolean)) socket.write(`entry ${++entries}: ${line}\n`);
    });
    socket.on('error', () => socket.destroy());
  })
  .listen(process.env.PORT, '127.0.0.1');
