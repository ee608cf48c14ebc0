// The name of a workload: spiffe://<trust domain>/ns/<namespace>/sa/<service account>, as Istio writes it.

/** A parsed SPIFFE ID of Istio's form. */
export interface SpiffeId {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

// SPIFFE-ID section 2: trust domains are lower case, path segments have no dot-only names, no escapes, 2048 bytes in all.
const form = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([A-Za-z0-9._-]+)\/sa\/([A-Za-z0-9._-]+)$/;

/** The ID written as a URI. */
export function formatSpiffeId(id: SpiffeId): string {
  return `spiffe://${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
}

/** Parses a URI of exactly Istio's five segments; undefined where it is anything else. */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  if (uri.length > 2048) return undefined;
  const match = form.exec(uri);
  if (match === null) return undefined;
  const [, trustDomain, namespace, serviceAccount] = match as unknown as [string, string, string, string];
  if (/^\.+$/.test(namespace) || /^\.+$/.test(serviceAccount)) return undefined;
  return { trustDomain, namespace, serviceAccount };
}
