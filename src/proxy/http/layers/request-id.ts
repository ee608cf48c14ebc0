// Gives every request an x-request-id by which it can be followed through logs; one that is there is kept.
import type { Layer } from '../stack.js';

const name = 'x-request-id';

export const requestId: Layer = {
  onRequest({ request, environment }) {
    const { headers } = request;
    for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true;
    headers.push(name, environment.newRequestId());
    // A proxied request says how it was first asked for (Envoy: x-forwarded-proto).
    for (let i = 0; i < headers.length; i += 2) if (headers[i] === 'x-forwarded-proto') return true;
    headers.push('x-forwarded-proto', request.scheme);
    return true;
  },
};
