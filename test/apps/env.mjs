// A test application: answers with its own environment.
import http from 'node:http';

http
  .createServer((request, response) => response.end(JSON.stringify(process.env)))
  .listen(process.env.PORT, '127.0.0.1');
