// gRPC streams in both directions: each sends its next message when the last one has come back.
import { Client, credentials, Metadata } from '@grpc/grpc-js';

/** What the backend echoes. */
export const streamMethod = '/bench.Echo/Stream';
export const pass = (bytes: Buffer): Buffer => bytes;

const channels = 4;
const message = Buffer.alloc(100, 'm');

/** Round trips in `seconds`, after all streams have had one; fails where a stream does. */
export async function runGrpcStreams(
  port: number,
  { streams, seconds }: { readonly streams: number; readonly seconds: number },
): Promise<number> {
  const clients = Array.from(
    { length: channels },
    (_, index) =>
      new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
        'grpc.default_authority': 'web',
        index,
      }),
  );
  try {
    let roundTrips = 0;
    await Promise.all(
      Array.from({ length: streams }, (_, index) => {
        const stream = clients[index % channels]!.makeBidiStreamRequest(streamMethod, pass, pass, new Metadata());
        return new Promise<void>((resolve, reject) => {
          let endMs = Infinity;
          stream.on('data', () => {
            if (endMs === Infinity) endMs = performance.now() + seconds * 1000;
            else roundTrips++;
            if (performance.now() < endMs) stream.write(message);
            else stream.end();
          });
          stream.on('end', resolve);
          stream.on('error', reject);
          stream.write(message);
        });
      }),
    );
    return roundTrips;
  } finally {
    for (const client of clients) client.close();
  }
}
