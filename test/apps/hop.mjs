// A test application that calls the next one (NEXT_URL) with the request's path and the trace headers that it is told to
// forward (FORWARD, all by default), and answers with its status. The last one answers itself, as the path says; what it was
// asked is in the answer.
import http from 'node:http';

const all = 'x-request-id,traceparent,tracestate,b3,x-b3-traceid,x-b3-spanid,x-b3-parentspanid,x-b3-sampled,x-b3-flags';
const forwarded = (process.env.FORWARD ?? all).split(',');
const agent = new http.Agent({ keepAlive: true });

http
  .createServer((request, response) => {
    request.resume();
    const heard = JSON.stringify(request.headers);
    if (process.env.NEXT_URL === undefined) {
      const status = /^\/status\/(\d+)/.exec(request.url)?.[1] ?? '200';
      response.writeHead(Number(status), { 'content-type': 'application/json' });
      response.end(`[${heard}]`);
      return;
    }
    const headers = Object.fromEntries(
      forwarded.flatMap((name) => (request.headers[name] === undefined ? [] : [[name, request.headers[name]]])),
    );
    http
      .get(new URL(request.url, process.env.NEXT_URL), { headers, agent }, (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => {
          const [...deeper] = JSON.parse(Buffer.concat(chunks).toString());
          response.writeHead(answer.statusCode, { 'content-type': 'application/json' });
          response.end(JSON.stringify([request.headers, ...deeper]));
        });
      })
      .on('error', (error) => response.writeHead(500).end(JSON.stringify([request.headers, error.message])));
  })
  .listen(Number(process.env.PORT), '127.0.0.1');
