// The vocabulary in which the kinds are written: one schema gives types, checks, messages and the reference tables.
import { RE2JS } from 're2js';
import * as z from 'zod';
import { whyNotAFormat } from './command-operators.js';
import { parseDurationMs } from '../util/duration.js';

/** Marks in a schema what the reference tables and the diagnostics need to know beyond its type. */
export interface FieldMark {
  /** The field exists in Istio and is refused here; the text says what to do instead. */
  readonly refused?: string;
}

/** Set as `params.code` of an issue that means "known, but not supported". */
export const unsupported = 'unsupported';

/** A field that Istio knows and this version refuses; `instead` completes "... is not supported yet". */
export function refused(description: string, instead = '') {
  const message = `is not supported yet${instead === '' ? '' : `; ${instead}`}`;
  return z
    .unknown()
    .optional()
    .refine((value) => value === undefined, { message, params: { code: unsupported } })
    .meta({ description, refused: instead === '' ? 'not yet' : instead });
}

/** An object whose unknown fields are errors. */
export const record = z.strictObject;

/** Adds the sentence that becomes the manual. */
export function describe<S extends z.ZodType>(schema: S, description: string): S {
  return schema.meta({ description }) as S;
}

export const text = z.string();
export const nonEmptyText = z.string().min(1, 'must not be empty');
export const portNumber = z
  .int('must be a whole number')
  .min(1, 'must be a port from 1 to 65535')
  .max(65535, 'must be a port from 1 to 65535');
export const labels = z.record(z.string(), z.string());

/** A duration such as `1.5s` or `1m30s`; at least one millisecond unless zero. */
export const duration = z.string().refine(
  (value) => {
    const ms = parseDurationMs(value);
    return ms !== undefined && (ms === 0 || ms >= 1);
  },
  { message: 'must be a duration of at least 1ms, such as 500ms, 5s or 1h' },
);

/** The same without zero. */
export const positiveDuration = z.string().refine((value) => (parseDurationMs(value) ?? 0) >= 1, {
  message: 'must be a duration of at least 1ms, such as 500ms, 5s or 1h',
});

/** Istio's Percent: a share of requests, to the millionth. */
export const percent = record({
  value: describe(
    z.number().min(0, 'must not be negative').max(100, 'must be at most 100').optional(),
    'From 0 (default) to 100.',
  ),
});

/** A regular expression in RE2's syntax, which runs in linear time whatever the input; `*` alone means anything, as in Istio. */
export const regularExpression = z
  .string()
  .max(1024, 'must be at most 1024 characters')
  .superRefine((value, context) => {
    if (value === '*') return;
    try {
      RE2JS.compile(value);
    } catch (error) {
      context.addIssue({
        code: 'custom',
        message: `is not a regular expression in RE2 syntax: ${(error as Error).message}`,
      });
    }
  });

/** How many groups an expression has; undefined where it is not valid, which is another check's to say. */
export function findGroupCount(expression: string): number | undefined {
  if (expression === '*') return 0;
  try {
    return RE2JS.compile(expression).groupCount();
  } catch {
    return undefined;
  }
}

/** Istio's StringMatch: exactly one of exact, prefix, regex. */
export const stringMatch = record({
  exact: describe(text.optional(), 'The whole value.'),
  prefix: describe(text.optional(), 'The beginning of the value.'),
  regex: describe(regularExpression.optional(), 'RE2 expression for the whole value.'),
}).superRefine((value, context) => {
  const set = Object.keys(value);
  if (set.length > 1)
    context.addIssue({
      code: 'custom',
      message: `has ${set.join(' and ')}; only one of exact, prefix and regex is allowed`,
    });
});

export type StringMatch = z.infer<typeof stringMatch>;

/** HTTP header names are tokens (RFC 9110 section 5.1). */
export const headerName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'must be an HTTP header name');

/** Header values of one line, so that configuration cannot split a message (RFC 9110 section 5.5). */
export const headerValue = z
  .string()
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  .regex(/^[^\u0000-\u0008\u000a-\u001f\u007f]*$/, 'must not contain line breaks or control characters');

/** Names in header operations may also be pseudo-headers: of those only the authority has an effect, as in Istio. */
export const headerOperationName = z.string().regex(/^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'must be an HTTP header name');

/** Header values that may name facts of the request, such as `%DOWNSTREAM_REMOTE_ADDRESS%`. */
export const headerTemplate = headerValue.superRefine((value, context) => {
  const problem = whyNotAFormat(value);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

/** Hosts: a name, `*`, or `*.` and a name. */
export const hostName = z
  .string()
  .max(255, 'must be at most 255 characters')
  .regex(
    /^(\*|(\*\.)?[A-Za-z0-9]([-_A-Za-z0-9.]*[A-Za-z0-9])?)$/,
    'must be a host name, `*`, or `*.` followed by a host name',
  );

/** Namespaces and `*`, `.`, `~` as exportTo takes them. */
export const exportTo = z.array(
  z.string().regex(/^(\*|\.|~|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$/, 'must be `*`, `.`, `~` or a namespace'),
);

export { z };
