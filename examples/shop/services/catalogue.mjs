// Knows the products.
import http from 'node:http';

const products = ['rope', 'sail', 'mast', 'rudder', 'anchor'].map((name, id) => ({ id, name, price: 10 * (id + 1) }));

http
  .createServer((request, response) => {
    const id = /^\/products\/(\d+)/.exec(request.url)?.[1];
    const found = id === undefined ? products : products[Number(id)];
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ?? { error: 'no such product' }));
  })
  .listen(process.env.PORT, '127.0.0.1');
