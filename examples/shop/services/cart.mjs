// Counts what is in the cart.
import http from 'node:http';

let items = 0;

http
  .createServer((request, response) => {
    if (request.method === 'POST') items++;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ items }));
  })
  .listen(process.env.PORT, '127.0.0.1');
