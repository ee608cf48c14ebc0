// Parts of VirtualServices that can never have an effect: rules behind one that takes everything, and settings of forwarding
// on rules that answer themselves.
import type { DiagnosticCode, Severity } from '../api/diagnostic.js';
import type { VirtualService } from '../api/kinds.js';
import type { HttpMatch, HttpRouteRule, TcpMatch } from '../api/virtual-service.js';
import { isCatchAll } from './routes.js';

export interface RouteFinding {
  readonly severity: Severity;
  readonly code: DiagnosticCode;
  /** Such as `spec.http[1]`. */
  readonly path: string;
  readonly message: string;
}

export function findIdleRouteParts(owner: VirtualService): RouteFinding[] {
  const { http = [], tcp = [] } = owner.spec;
  return [
    ...findUnreachable('spec.http', http, (match) => isCatchAll(match) && isForEverybody(match), 'request'),
    ...findUnreachable('spec.tcp', tcp, isForEveryConnection, 'connection'),
    ...http.flatMap(findIdleSettings),
  ];
}

/** What follows a match or rule that takes everything of every caller. */
function findUnreachable<M>(
  list: string,
  rules: readonly { readonly match?: readonly M[] | undefined }[],
  takesAll: (match: M) => boolean,
  what: string,
): RouteFinding[] {
  const found: RouteFinding[] = [];
  let taker: string | undefined;
  const report = (path: string) =>
    found.push({
      severity: 'warning',
      code: 'IST0130',
      path,
      message: `is never reached: ${taker} takes every ${what}; put it before that, or remove it`,
    });
  for (const [i, rule] of rules.entries()) {
    const path = `${list}[${i}]`;
    if (taker !== undefined) {
      report(path);
      continue;
    }
    const matches = rule.match ?? [];
    if (matches.length === 0) taker = path;
    for (const [j, match] of matches.entries()) {
      if (taker !== undefined) report(`${path}.match[${j}]`);
      else if (takesAll(match)) taker = `${path}.match[${j}]`;
    }
  }
  return found;
}

/** Whether nothing about the caller decides; see `whyMatchIsNotFor`. */
function isForEverybody({ port, gateways = [], sourceLabels = {}, sourceNamespace = '' }: HttpMatch): boolean {
  if (port !== undefined) return false;
  return gateways.length > 0
    ? gateways.includes('mesh')
    : Object.keys(sourceLabels).length === 0 && sourceNamespace === '';
}

/** Of bytes nothing but the caller and the port can be asked. */
function isForEveryConnection({ port, gateways = [], sourceLabels = {}, sourceNamespace = '' }: TcpMatch): boolean {
  return (
    port === undefined &&
    (gateways.length === 0 || gateways.includes('mesh')) &&
    Object.keys(sourceLabels).length === 0 &&
    sourceNamespace === ''
  );
}

/** Settings that hold for what is forwarded. */
const forwarding = ['fault', 'corsPolicy', 'timeout', 'retries', 'mirror', 'mirrors'] as const;

function findIdleSettings(rule: HttpRouteRule, i: number): RouteFinding[] {
  const action = (['redirect', 'directResponse'] as const).find((name) => rule[name] !== undefined);
  if (action === undefined) return [];
  return forwarding
    .filter((name) => rule[name] !== undefined)
    .map((name) => ({
      severity: 'warning',
      code: 'LAT0007',
      path: `spec.http[${i}].${name}`,
      message: `has no effect beside ${action}: nothing is forwarded; remove it`,
    }));
}
