// New mTLS connections, one after another on a few lanes: each shows a client certificate, gets one answer and ends.
import tls from 'node:tls';

export interface CallerCredentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface HandshakeResult {
  readonly full: number;
  readonly resumed: number;
  readonly errors: number;
}

const lanes = 8;
const longestMs = 5000;

/** @param resume whether each connection offers the newest session ticket of an earlier one */
export async function runHandshakes(
  port: number,
  credentials: CallerCredentials,
  { seconds, resume }: { readonly seconds: number; readonly resume: boolean },
): Promise<HandshakeResult> {
  const counts = { full: 0, resumed: 0, errors: 0 };
  let session: Buffer | undefined;
  const connectOnce = () =>
    new Promise<void>((resolve) => {
      let isAnswered = false;
      const socket = tls.connect({
        host: '127.0.0.1',
        port,
        ...credentials,
        servername: 'outbound_.80_._.web.default.svc.cluster.local',
        minVersion: 'TLSv1.3',
        checkServerIdentity: () => undefined, // names a workload, not a host
        ...(resume && session !== undefined ? { session } : {}),
      });
      socket.once('secureConnect', () => socket.write('GET /x HTTP/1.1\r\nhost: web\r\n\r\n'));
      socket.on('session', (ticket) => (session = ticket));
      socket.on('data', (data) => {
        if (!isAnswered && data.toString('latin1', 0, 12) === 'HTTP/1.1 200') {
          isAnswered = true;
          counts[socket.isSessionReused() ? 'resumed' : 'full']++;
        }
        socket.destroy();
      });
      socket.on('error', () => undefined); // 'close' follows
      socket.on('close', () => {
        if (!isAnswered) counts.errors++;
        resolve();
      });
      socket.setTimeout(longestMs, () => socket.destroy());
    });
  const endMs = performance.now() + seconds * 1000;
  const run = async () => {
    while (performance.now() < endMs && counts.errors < 100) await connectOnce();
  };
  await Promise.all(Array.from({ length: lanes }, run));
  return counts;
}
