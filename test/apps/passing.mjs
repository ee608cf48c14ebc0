// A test application that asks the next one (NEXT_URL) what it is asked, once, and passes on what that answers; 502 where nothing does.
import http from 'node:http';

const agent = new http.Agent({ keepAlive: true });

http
  .createServer((request, response) => {
    request.resume();
    http
      .get(new URL(request.url, process.env.NEXT_URL), { agent }, (answer) => {
        response.writeHead(answer.statusCode);
        answer.pipe(response);
      })
      .on('error', () => response.writeHead(502).end());
  })
  .listen(Number(process.env.PORT), '127.0.0.1');
