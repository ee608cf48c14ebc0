// A test application that answers 200 on two ports, named in its body.
import http from 'node:http';

for (const name of ['MAIN', 'SIDE'])
  http
    .createServer((request, response) => response.end(name.toLowerCase()))
    .listen(process.env[`PORT_${name}`], '127.0.0.1');
