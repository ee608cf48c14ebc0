// A server that listens and never accepts: once its queue is full, whoever calls it hears nothing.
import net from 'node:net';

const server = net.createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  process.stdout.write(`${server.address().port}\n`, () =>
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0),
  );
});
