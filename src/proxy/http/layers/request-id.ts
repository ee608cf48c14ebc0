// Gives every request what the next proxies and the application rely on: an x-request-id by which it can be followed through
// logs, and how it was first asked for; what is there is kept.
import type { Headers } from '../message.js';
import type { Layer } from '../stack.js';

export const requestId: Layer = {
  onRequest({ request, environment }) {
    const { headers } = request;
    if (!has(headers, 'x-request-id')) headers.push('x-request-id', environment.newRequestId());
    if (!has(headers, 'x-forwarded-proto')) headers.push('x-forwarded-proto', request.scheme);
    return true;
  },
};

function has(headers: Headers, name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true;
  return false;
}
