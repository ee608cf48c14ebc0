// Takes away headers by which somebody could claim to be somebody else, and names the caller whom a certificate proves.
import type { Headers } from '../message.js';
import type { Layer } from '../stack.js';

const clientCert = 'x-forwarded-client-cert';
/** Istio's metadata exchange by headers: believed from nobody here, Lateen's proxies have their own. */
const claims = new Set([clientCert, 'x-envoy-peer-metadata', 'x-envoy-peer-metadata-id', 'x-lateen-decided-by']);

export const nameCaller: Layer = {
  onRequest({ request, connection, settings }) {
    dropClaims(request.headers);
    if (settings.setClientCert && connection.forwardedClientCert !== undefined)
      request.headers.push(clientCert, connection.forwardedClientCert);
    return true;
  },
};

function dropClaims(headers: Headers): void {
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (claims.has(headers[i]!)) continue;
    if (kept !== i) {
      headers[kept] = headers[i]!;
      headers[kept + 1] = headers[i + 1]!;
    }
    kept += 2;
  }
  headers.length = kept;
}
