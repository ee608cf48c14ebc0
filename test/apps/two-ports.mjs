// A test application that listens on every port it is given.
import http from 'node:http';
import net from 'node:net';

const { PORT_API, PORT_RAW, PORT_PORT_8002 } = process.env;
http.createServer((request, response) => response.end('first')).listen(PORT_API, '127.0.0.1');
net.createServer((socket) => socket.end('raw')).listen(PORT_RAW, '127.0.0.1');
http.createServer((request, response) => response.end('third')).listen(PORT_PORT_8002, '127.0.0.1');
