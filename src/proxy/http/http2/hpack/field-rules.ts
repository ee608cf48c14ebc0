// Tells by the name of a field how it is encoded: which values are known, never repeat, or must stay secret.
import { staticIndexOfName, staticNames, staticValues } from './static-table.js';

/**
 * One connection carries requests of many callers, and whoever sees the sizes of its frames and sends requests of his own
 * could try out values until one is short (section 7.1). Only whole values can be tried, so this is about those that can be
 * guessed: secrets that people choose. Identities in x-forwarded-client-cert are no secret and repeat with every request.
 */
const secretNames = [
  'authorization',
  'proxy-authorization',
  'set-cookie',
  'api-key',
  'x-api-key',
  'x-auth-token',
  'x-csrf-token',
  'x-xsrf-token',
  'private-token',
  'x-vault-token',
];

/** Cookies from this length on hold something that nobody guesses; they repeat, and are most of what a browser sends. */
const longestGuessableCookie = 19;

const noSecret = -1;

/**
 * Values of these hardly ever repeat: they are not looked for in the table. `date` is not here: it is the same for a second,
 * so it repeats just where the load is.
 */
const uniqueNames = [
  'age',
  'b3',
  'grpc-timeout',
  'traceparent',
  'tracestate',
  'uber-trace-id',
  'x-amzn-trace-id',
  'x-b3-parentspanid',
  'x-b3-spanid',
  'x-b3-traceid',
  'x-cloud-trace-context',
  'x-datadog-parent-id',
  'x-datadog-trace-id',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-upstream-service-time',
  'x-ot-span-context',
  'x-request-id',
];

/** How fields of one name are written. */
export class FieldRule {
  /** Whether the value comes once, so that only the name is worth a place. */
  readonly isUnique: boolean;
  /** Lowest index of the name in the static table; 0 where it is not there. */
  readonly staticIndex: number;
  /** Longest value that is a secret. */
  readonly #longestSecret: number;
  /** Indexes of the values that the static table has for the name, where it has others than the empty one. */
  readonly #staticValues: ReadonlyMap<string, number> | undefined;

  constructor(name: string, isUnique: boolean, longestSecret: number) {
    this.isUnique = isUnique;
    this.staticIndex = staticIndexOfName.get(name) ?? 0;
    this.#longestSecret = longestSecret;
    const values = new Map<string, number>();
    for (let i = 1; i < staticNames.length; i++) if (staticNames[i] === name) values.set(staticValues[i]!, i);
    this.#staticValues = values.size === 0 || (values.size === 1 && values.has('')) ? undefined : values;
  }

  /** Index in the static table of the name with this value; 0 where there is none. */
  staticIndexOf(value: string): number {
    if (this.#staticValues !== undefined) return this.#staticValues.get(value) ?? 0;
    return value.length === 0 ? this.staticIndex : 0;
  }

  isSecret(value: string): boolean {
    return value.length <= this.#longestSecret;
  }
}

const otherRule = new FieldRule('', false, noSecret);
const rules = new Map<string, FieldRule>();
for (const name of staticNames.slice(1)) rules.set(name, new FieldRule(name, false, noSecret));
for (const name of uniqueNames) rules.set(name, new FieldRule(name, true, noSecret));
for (const name of secretNames) rules.set(name, new FieldRule(name, true, Infinity));
rules.set('cookie', new FieldRule('cookie', false, longestGuessableCookie));

export function fieldRule(name: string): FieldRule {
  return rules.get(name) ?? otherRule;
}
