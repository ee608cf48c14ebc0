// Brings paths into one form (Istio's BASE): dots resolved, unreserved characters decoded, backslashes read as slashes;
// escaped slashes stay escaped. Routing, policy and the application then see the same path.
import type { Layer } from '../stack.js';
import { pathOnly } from '../matchers.js';

const unreserved = /^[A-Za-z0-9\-._~]$/;

export const normalizePath: Layer = {
  onRequest({ request }) {
    const { path } = request;
    // Nearly all paths need nothing done, and three searches tell.
    if (path[0] === '/' && (path.includes('%') || path.includes('/.') || path.includes('\\')))
      request.path = normalize(path);
    return true;
  },
};

/** RFC 3986 sections 6.2.2 and 5.2.4 on the path; the query is left as it is. */
export function normalize(path: string): string {
  const before = pathOnly(path);
  const decoded = before.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return unreserved.test(character) ? character : escape;
  });
  return removeDotSegments(decoded.replace(/\\/g, '/')) + path.slice(before.length);
}

function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [i, segment] of segments.entries()) {
    const isLast = i === segments.length - 1;
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
    if (isLast && (segment === '.' || segment === '..')) kept.push('');
  }
  return `/${kept.join('/')}`;
}
