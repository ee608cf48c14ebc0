// Takes money and has the ledger write it down, over plain TCP.
import http from 'node:http';
import net from 'node:net';

const [ledgerHost, ledgerPort] = process.env.LEDGER_ADDR.split(':');

/** One line to the ledger, one line back; the ledger speaks first. */
function book(line) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(ledgerPort, ledgerHost);
    let received = '';
    socket.on('data', (data) => {
      received += data;
      const lines = received.split('\n');
      if (lines.length === 2) socket.write(`${line}\n`);
      if (lines.length > 2) {
        socket.end();
        resolve(lines[1]);
      }
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the ledger hung up')));
  });
}

http
  .createServer(async (request, response) => {
    try {
      const amount = new URL(request.url, 'http://payments').searchParams.get('amount');
      const entry = await book(`debit ${amount}`);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ charged: Number(amount), entry }));
    } catch (error) {
      response.writeHead(503);
      response.end(`${error.message}\n`);
    }
  })
  .listen(process.env.PORT, '127.0.0.1');
