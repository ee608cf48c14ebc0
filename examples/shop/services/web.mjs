// The front of the shop: renders a page from what the other services say.
import http from 'node:http';

const { CATALOGUE_URL, REVIEWS_URL, CART_URL, PAYMENTS_URL, PORT } = process.env;

async function call(url, request, options = {}) {
  // Who the visitor is travels along, so that routes behind this service can tell.
  const headers = { 'x-user': request.headers['x-user'] ?? 'guest', 'x-request-id': request.headers['x-request-id'] };
  const answer = await fetch(url, { ...options, headers });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

const pages = {
  'GET /': (request) => call(`${CATALOGUE_URL}/products`, request),
  'GET /product': async (request, id) => {
    const [product, reviews] = await Promise.all([
      call(`${CATALOGUE_URL}/products/${id}`, request),
      call(`${REVIEWS_URL}/reviews/${id}`, request),
    ]);
    return { product, reviews };
  },
  'POST /cart': (request, id) => call(`${CART_URL}/items/${id}`, request, { method: 'POST' }),
  'POST /checkout': (request) => call(`${PAYMENTS_URL}/charge?amount=42`, request, { method: 'POST' }),
};

http
  .createServer(async (request, response) => {
    const [, first = '', id] = request.url.split('/');
    const page = pages[`${request.method} /${first}`];
    try {
      response.writeHead(page === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(page === undefined ? { error: 'no such page' } : await page(request, id))}\n`);
    } catch (error) {
      if (!response.headersSent) response.writeHead(502);
      response.end(`${JSON.stringify({ error: error.message })}\n`);
    }
  })
  .listen(PORT, '127.0.0.1');
