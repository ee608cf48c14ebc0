// The backend of gRPC streams, a process of its own: `node grpc-backend.js PORT` sends back every message of every stream.
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { pass, streamMethod } from './load/grpc-streams.js';

const server = new Server();
server.addService(
  {
    Stream: {
      path: streamMethod,
      requestStream: true,
      responseStream: true,
      requestSerialize: pass,
      requestDeserialize: pass,
      responseSerialize: pass,
      responseDeserialize: pass,
    },
  },
  {
    Stream: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (message: Buffer) => call.write(message));
      call.on('end', () => call.end());
      call.on('error', () => undefined); // its caller went away
    },
  },
);
server.bindAsync(`127.0.0.1:${process.argv[2]}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});
