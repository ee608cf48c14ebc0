// The grammar of what every version of HTTP carries (RFC 9110 section 5, RFC 3986), strict where readers differ.

/** Names of fields and methods. */
export const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
export const badValue = /[\x00-\x08\x0a-\x1f\x7f]/;
/** Target: visible ASCII without fragment and backslash; those two are read differently by different servers. */
export const targetForm = /^[\x21-\x22\x24-\x5b\x5d-\x7e]+$/;
export const hostForm = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
export const absoluteForm = /^(https?):\/\/([^/?]*)(.*)$/i;

/** Fields that mean something only in a head (RFC 9110 section 6.5.1). */
export const forbiddenTrailers: readonly string[] = [
  'authorization',
  'trailer',
  'expect',
  'content-type',
  'content-encoding',
  'content-range',
  'cookie',
  'set-cookie',
  'max-forwards',
  // Who called is told by this proxy alone, and in the head.
  'x-forwarded-client-cert',
  'x-envoy-peer-metadata',
  'x-envoy-peer-metadata-id',
];
