// New mTLS connections at the server's proxy, each with a client certificate and one request: full handshakes, and resumed ones.
import { runHandshakes } from '../load/handshakes.js';
import { mustSucceed, startMeter, type Row, type Subject } from './row.js';

async function costOf(
  { running, chain }: Subject,
  { seconds, resume }: { readonly seconds: number; readonly resume: boolean },
): Promise<{ readonly micros: number; readonly count: number; readonly errors: number }> {
  const credentials = await running.callerCredentials!();
  await runHandshakes(chain.server, credentials, { seconds: 0.5, resume });
  const meter = startMeter(running);
  const { full, resumed, errors } = await runHandshakes(chain.server, credentials, { seconds, resume });
  mustSucceed({ requests: full + resumed, errors });
  // The first ones of a run have no ticket yet.
  const count = full + resumed;
  if (resume && resumed < count * 0.9) throw new Error(`only ${resumed} of ${count} connections were resumed`);
  return { micros: meter().server / count, count, errors };
}

export const handshakes: Row = {
  name: 'handshakes',
  title: 'New mTLS connections with a client certificate and one request each, at the server',
  protocol: 'http1',
  isOfProxiesOnly: true,
  figures: [
    { key: 'full', title: 'full us', digits: 0, ofProxies: true },
    { key: 'resumed', title: 'resumed us', digits: 0, ofProxies: true },
    { key: 'rate', title: 'full/s', digits: 0, isInformation: true },
    { key: 'errors', title: 'errors', digits: 0, isInformation: true },
  ],
  targets: [
    { figure: 'full', atMost: 2.5, of: 'envoy-h1' },
    { figure: 'resumed', atMost: 2, of: 'envoy-h1' },
  ],
  measure: async (subject, { seconds }) => {
    const full = await costOf(subject, { seconds, resume: false });
    const resumed = await costOf(subject, { seconds, resume: true });
    return {
      full: full.micros,
      resumed: resumed.micros,
      rate: full.count / seconds,
      errors: full.errors + resumed.errors,
    };
  },
};
