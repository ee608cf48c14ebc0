// Brings paths into one form, once: dots resolved, unreserved characters decoded, backslashes read as slashes, and where that
// is configured escaped slashes decoded and repeated ones merged. Routing, policies and the application then see the same
// path. The form is Envoy's (normalize_path, merge_slashes, path_with_escaped_slashes_action), tried against Envoy 1.40; it
// differs in that a path in its form stays as it is: Envoy would change some paths again at the next proxy.
import { pathOnly } from '../matchers.js';
import type { Layer } from '../stack.js';

/** Which form paths get; Istio's four modes are NONE (nothing), BASE, MERGE_SLASHES and DECODE_AND_MERGE_SLASHES. */
export interface PathForm {
  /** Dots, unreserved escapes, backslashes (Istio's BASE). */
  readonly normalizePath: boolean;
  /** `//` becomes `/`. */
  readonly mergeSlashes: boolean;
  /** `%2F` and `%5C` become `/`; without it they stay as they are. */
  readonly unescapeSlashes: boolean;
}

/** The layer for a form; undefined where paths stay as they come. */
export function normalizePath(form: PathForm): Layer | undefined {
  if (!form.normalizePath && !form.mergeSlashes && !form.unescapeSlashes) return undefined;
  return {
    onRequest(exchange) {
      const { request } = exchange;
      if (isInForm(request.path, form.mergeSlashes)) return true;
      const path = normalize(request.path, form);
      if (path === undefined) {
        exchange.fail({ kind: 'bad-path' });
        return false;
      }
      request.path = path;
      return true;
    },
  };
}

/** What is written as an escape in the form, other than `%` itself. */
const escaped = '"<>^`{|}';
/** By character code: whether a path that has it is looked at closely. */
const suspects = new Uint8Array(128);
for (const character of `%\\${escaped}`) suspects[character.charCodeAt(0)] = 1;
const [slash, dot, question] = [0x2f, 0x2e, 0x3f];

/** Whether nothing is to be done, which nearly all paths show at the first look. */
function isInForm(path: string, mergeSlashes: boolean): boolean {
  if (path.charCodeAt(0) !== slash) return true; // `*` of OPTIONS, nothing of CONNECT
  let afterSlash = true;
  for (let i = 1; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === question) return true;
    if (suspects[code] === 1 || (afterSlash && (code === dot || (mergeSlashes && code === slash)))) return false;
    afterSlash = code === slash;
  }
  return true;
}

/**
 * RFC 3986 sections 6.2.2 and 5.2.4 on the path; the query is left as it is.
 * @returns undefined where the path has an escaped NUL
 */
export function normalize(path: string, form: PathForm): string | undefined {
  const before = pathOnly(path);
  let after = before;
  if (form.unescapeSlashes) after = after.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
  if (form.normalizePath) {
    if (after.includes('%00')) return undefined;
    after = removeDotSegments(escapeOdd(decodeUnreserved(after)).replace(/\\/g, '/'));
  }
  // After the dots, as in Envoy: `/a//../b` is `/a/b`, where merging first would make `/b` of it.
  if (form.mergeSlashes) after = after.replace(/\/\/+/g, '/');
  return after + path.slice(before.length);
}

const unreserved = /^[A-Za-z0-9\-._~]$/;

/** Decodes what needs no escape. A `%` that begins none is escaped where what follows would make it one. */
function decodeUnreserved(path: string): string {
  if (!path.includes('%')) return path;
  const decoded = path.replace(/%([0-9A-Fa-f]{2})|%/g, (escape, hex: string | undefined) => {
    if (hex === undefined) return '\0';
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return unreserved.test(character) ? character : escape;
  });
  // oxlint-disable-next-line no-control-regex -- a NUL stands for a lone `%` here; no path can have one
  return decoded.replace(/\0(?=[0-9A-Fa-f]{2})/g, '%25').replace(/\0/g, '%');
}

function escapeOdd(path: string): string {
  return path.replace(/["<>^`{|}]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** As Envoy does, a dot segment with parameters is one: some servers read `/x/..;a/b` as `/b`. */
function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [i, segment] of segments.entries()) {
    const isLast = i === segments.length - 1;
    const isUp = segment === '..' || segment.startsWith('..;');
    const isHere = segment === '.' || segment.startsWith('.;');
    if (isUp) kept.pop();
    else if (!isHere) kept.push(segment);
    if (isLast && (isUp || isHere)) kept.push('');
  }
  return `/${kept.join('/')}`;
}
