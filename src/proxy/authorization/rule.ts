// What a part of a policy is once it is compiled: a pure question about a connection and, where there is one, a request.
import type { ConnectionInfo } from '../listener/connection-info.js';
import type { RoutedRequest } from '../http/matchers.js';

/** Whether a part of a policy holds. On connections that carry bytes there is no request, and what asks for one does not hold. */
export type Rule = (connection: ConnectionInfo, request: RoutedRequest | undefined) => boolean;

export const always: Rule = () => true;

export function allOf(rules: readonly Rule[]): Rule {
  const [only] = rules;
  if (rules.length === 1) return only!;
  return (connection, request) => {
    for (let i = 0; i < rules.length; i++) if (!rules[i]!(connection, request)) return false;
    return true;
  };
}

export function anyOf(rules: readonly Rule[]): Rule {
  const [only] = rules;
  if (rules.length === 1) return only!;
  return (connection, request) => {
    for (let i = 0; i < rules.length; i++) if (rules[i]!(connection, request)) return true;
    return false;
  };
}

export function not(rule: Rule): Rule {
  return (connection, request) => !rule(connection, request);
}
