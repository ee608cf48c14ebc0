// The "who" of a policy: Envoy's principals, compiled when configuration arrives. An identity is what the certificate of the
// connection proves and nothing else; headers that claim one are gone before a policy sees the request.
import type { Principal, Principal_Authenticated } from '../../xds/messages.js';
import { compileStringMatcher, UnsupportedConfig } from '../http/matchers.js';
import { compileAddressRange } from './address-range.js';
import { compileHeaderRule } from './header-rule.js';
import { compilePathRule } from './path-rule.js';
import { allOf, always, anyOf, not, type Rule } from './rule.js';

/** @throws UnsupportedConfig */
export function compilePrincipal({ identifier }: Principal): Rule {
  switch (identifier.case) {
    case 'andIds':
      return allOf(identifier.value.ids.map(compilePrincipal));
    case 'orIds':
      return anyOf(identifier.value.ids.map(compilePrincipal));
    case 'notId':
      return not(compilePrincipal(identifier.value));
    case 'any':
      return always;
    case 'authenticated':
      return compileAuthenticated(identifier.value);
    case 'sourceIp': // all are the peer here: no header is trusted and no proxy protocol read to tell another address
    case 'remoteIp':
    case 'directRemoteIp':
      return compileAddressRange(identifier.value, 'remoteAddress');
    case 'header':
      return compileHeaderRule(identifier.value);
    case 'urlPath':
      return compilePathRule(identifier.value);
    default:
      throw new UnsupportedConfig(`the principal ${identifier.case ?? '(empty)'} is not supported`);
  }
}

function compileAuthenticated({ principalName }: Principal_Authenticated): Rule {
  if (principalName === undefined) return ({ security }) => security === 'mutual_tls';
  const test = compileStringMatcher(principalName);
  return ({ security, source }) => security === 'mutual_tls' && test(source.principal);
}
