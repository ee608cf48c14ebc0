// How the texts of an AuthorizationPolicy (`x`, `x*`, `*x`, `*`, ranges, templates) are said in Envoy's matchers.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HeaderMatcherSchema, StringMatcherSchema } from '../xds/messages.js';

export type StringMatcherInit = Exclude<MessageInitShape<typeof StringMatcherSchema>, { $typeName: string }>;
type HeaderMatcherInit = Exclude<MessageInitShape<typeof HeaderMatcherSchema>, { $typeName: string }>;

/** `*` is anything that is not empty. */
export function textMatcher(value: string, ignoreCase = false): StringMatcherInit {
  if (value === '*') return expression('.+');
  if (value.startsWith('*')) return { matchPattern: { case: 'suffix', value: value.slice(1) }, ignoreCase };
  if (value.endsWith('*')) return { matchPattern: { case: 'prefix', value: value.slice(0, -1) }, ignoreCase };
  return { matchPattern: { case: 'exact', value }, ignoreCase };
}

/** `*` asks only that the header is there. */
export function headerMatcher(name: string, value: string): HeaderMatcherInit {
  if (value === '*') return { name, headerMatchSpecifier: { case: 'presentMatch', value: true } };
  return { name, headerMatchSpecifier: { case: 'stringMatch', value: textMatcher(value) } };
}

/**
 * Hosts in any case. One without a port also matches with any port: `Host: admin.shop:8080` asks for admin.shop. Istio leaves
 * that to whoever writes the policy, whose DENY is then avoided by naming the port.
 */
export function hostMatchers(value: string): HeaderMatcherInit[] {
  const name = ':authority';
  if (value === '*') return [headerMatcher(name, value)];
  const matchers = [textMatcher(value, true)];
  const isSuffix = value.startsWith('*');
  if (!/:\d+$/.test(value) && !value.endsWith('*'))
    matchers.push(isSuffix ? expression(`(?i).*${quote(value.slice(1))}:\\d+`) : textMatcher(`${value}:*`, true));
  return matchers.map((matcher) => ({ name, headerMatchSpecifier: { case: 'stringMatch', value: matcher } }));
}

/**
 * Identities as SPIFFE IDs. `cluster.local` means the trust domain of the mesh, whatever that is, as in Istio; the scheme may
 * be written or left out.
 */
export function principalMatcher(written: string, trustDomain: string): StringMatcherInit {
  const value = localPrincipal(written, trustDomain);
  if (value === '*') return expression('.+');
  if (value.startsWith('*')) return expression(`spiffe://.*${quote(value.slice(1))}`);
  return textMatcher(`spiffe://${value}`);
}

/** The identity without scheme, in the trust domain of the mesh where it names the one that stands for it. */
export function localPrincipal(written: string, trustDomain: string): string {
  const value = written.startsWith('spiffe://') ? written.slice('spiffe://'.length) : written;
  const [domain, ...rest] = value.split('/');
  return domain === 'cluster.local' && rest.length === 4 ? [trustDomain, ...rest].join('/') : value;
}

/** Other than in Istio `*` does not go beyond the namespace: there `*sa` matches every caller, because `/sa/` follows. */
export function namespaceMatcher(value: string): StringMatcherInit {
  return expression(`.*/ns/${value.replaceAll('*', '[^/]*')}/.*`);
}

/** `name` is one of `namespace`, that of the policy. */
export function serviceAccountMatcher(value: string, namespace: string): StringMatcherInit {
  const [first = '', second] = value.split('/');
  return expression(
    `spiffe://[^/]+/ns/${quote(second === undefined ? namespace : first)}/sa/${quote(second === undefined ? first : second)}`,
  );
}

export function rangeOf(text: string) {
  const [addressPrefix = '', length] = text.split('/');
  return { addressPrefix, prefixLen: length === undefined ? (addressPrefix.includes(':') ? 128 : 32) : Number(length) };
}

export function isPathTemplate(path: string): boolean {
  return path.includes('{*}') || path.includes('{**}');
}

/** Envoy writes the operators without braces. */
export function pathTemplateOf(path: string): string {
  return path.replaceAll('{*}', '*').replaceAll('{**}', '**');
}

function expression(regex: string): StringMatcherInit {
  return { matchPattern: { case: 'safeRegex', value: { regex } } };
}

/** The text as an expression for exactly it. */
function quote(text: string): string {
  return text.replace(/[^A-Za-z0-9/_-]/g, '\\$&');
}
