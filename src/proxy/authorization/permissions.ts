// The "what" of a policy: Envoy's permissions, compiled when configuration arrives.
import type { Permission, StringMatcher } from '../../xds/messages.js';
import { compileStringMatcher, UnsupportedConfig } from '../http/matchers.js';
import type { ConnectionInfo } from '../listener/connection-info.js';
import { compileAddressRange } from './address-range.js';
import { compileHeaderRule } from './header-rule.js';
import { compilePathRule, compileTemplateRule } from './path-rule.js';
import { allOf, always, anyOf, not, type Rule } from './rule.js';

/** @throws UnsupportedConfig */
export function compilePermission({ rule }: Permission): Rule {
  switch (rule.case) {
    case 'andRules':
      return allOf(rule.value.rules.map(compilePermission));
    case 'orRules':
      return anyOf(rule.value.rules.map(compilePermission));
    case 'notRule':
      return not(compilePermission(rule.value));
    case 'any':
      return always;
    case 'header':
      return compileHeaderRule(rule.value);
    case 'urlPath':
      return compilePathRule(rule.value);
    case 'uriTemplate':
      return compileTemplateRule(rule.value.typedConfig);
    case 'destinationIp':
      return compileAddressRange(rule.value, 'localAddress');
    case 'destinationPort': {
      const port = rule.value;
      return (connection) => portOf(connection) === port;
    }
    case 'destinationPortRange': {
      const { start, end } = rule.value; // the end is no part of it
      return (connection) => portOf(connection) >= start && portOf(connection) < end;
    }
    case 'requestedServerName':
      return compileServerName(rule.value);
    default:
      throw new UnsupportedConfig(`the permission ${rule.case ?? '(empty)'} is not supported`);
  }
}

function portOf({ localAddress }: ConnectionInfo): number {
  return Number(localAddress.slice(localAddress.lastIndexOf(':') + 1));
}

/** As in Envoy a connection without a server name has an empty one. */
function compileServerName(matcher: StringMatcher): Rule {
  const test = compileStringMatcher(matcher);
  return ({ serverName }) => test(serverName ?? '');
}
