// What others say of a product; later versions draw stars.
import http from 'node:http';

const { PORT, STARS } = process.env;

http
  .createServer((request, response) => {
    const product = request.url.split('/')[2];
    const review = { product, text: 'keeps its course', ...(STARS === undefined ? {} : { stars: 4, colour: STARS }) };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify([review]));
  })
  .listen(PORT, '127.0.0.1');
