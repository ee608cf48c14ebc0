// Host names as Istio resolves and compares them.

/** Suffix of the full names of services; the DNS domain of the mesh, independent of its trust domain. */
const clusterDomain = 'svc.cluster.local';

/** `reviews.shop.svc.cluster.local`. */
export function serviceHost(name: string, namespace: string): string {
  return `${name}.${namespace}.${clusterDomain}`;
}

/** A host of a rule in full: a name without dots belongs to the namespace of the rule, not of the service. */
export function resolveHost(host: string, ruleNamespace: string): string {
  const lower = host.toLowerCase();
  return lower.includes('.') || lower.startsWith('*') ? lower : serviceHost(lower, ruleNamespace);
}

/** Whether `pattern` (a name, `*`, or `*.` and a suffix) covers `host`; `*.foo.com` does not cover `foo.com`. */
export function hostMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*')) return pattern === host;
  const suffix = pattern.slice(1);
  return host.length > suffix.length ? host.endsWith(suffix) : suffix === '' || pattern === host;
}

/** Orders hosts by how much they say: names before wildcards, longer before shorter, then by alphabet. */
export function compareSpecificity(a: string, b: string): number {
  const wildcards = Number(a.startsWith('*')) - Number(b.startsWith('*'));
  return wildcards || b.length - a.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** The parts of `reviews.shop.svc.cluster.local`; undefined where a host has another form. */
export function splitServiceHost(host: string): { readonly name: string; readonly namespace: string } | undefined {
  const match = /^([^.*]+)\.([^.*]+)\.svc\.cluster\.local$/.exec(host);
  return match === null ? undefined : { name: match[1]!, namespace: match[2]! };
}

/** Names under which a service is called from `clientNamespace`, the full one first. */
export function callableNames(name: string, namespace: string, clientNamespace: string): string[] {
  const names = [serviceHost(name, namespace), `${name}.${namespace}`, `${name}.${namespace}.svc`];
  if (namespace === clientNamespace) names.push(name);
  return names;
}
