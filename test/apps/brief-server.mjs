// A test application that says all it has to say as soon as somebody connects and ends its side at once; what it hears after
// that it counts, and says on its output.
import net from 'node:net';

net
  .createServer({ allowHalfOpen: true }, (socket) => {
    let heard = 0;
    socket.end(`${'w'.repeat(Number(process.env.LENGTH ?? 5))}\n`);
    socket.on('data', (data) => (heard += data.length));
    socket.on('end', () => console.log(`heard ${heard} bytes`));
    socket.on('error', (error) => console.log(`heard ${heard} bytes and ${error.code}`));
  })
  .listen(process.env.PORT, '127.0.0.1');
