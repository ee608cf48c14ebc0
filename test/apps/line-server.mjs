// A test application that speaks first: greets, echoes every byte in upper case, and says goodbye after the caller's FIN.
import net from 'node:net';

net
  .createServer({ allowHalfOpen: true }, (socket) => {
    socket.write(`${process.env.GREETING ?? 'hello'}\n`);
    socket.on('data', (data) => {
      if (data.includes('reset!')) {
        socket.resetAndClosing = true; // a reset without the FIN that resetAndDestroy sends first
        socket.destroy();
      } else socket.write(data.toString('latin1').toUpperCase(), 'latin1');
    });
    socket.on('end', () => socket.end('bye\n'));
    socket.on('error', () => socket.destroy());
  })
  .listen(process.env.PORT, '127.0.0.1');
