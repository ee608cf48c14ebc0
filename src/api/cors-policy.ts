// Which origins may call from a browser (Istio's CorsPolicy).
import { describe, duration, headerName, record, stringMatch, z } from './schema.js';
import { parseDurationMs } from '../util/duration.js';

const origin = stringMatch.superRefine((value, context) => {
  if (Object.keys(value).length === 0)
    context.addIssue({ code: 'custom', message: 'needs exact, prefix or regex; `exact: "*"` allows every origin' });
  if (value.regex === '*')
    context.addIssue({
      code: 'custom',
      path: ['regex'],
      message: 'is not a regular expression; write `exact: "*"` to allow every origin',
    });
});

/** `*` is a token too. */
const tokens = z.array(headerName);

/** @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#CorsPolicy */
export const corsPolicy = record({
  allowOrigins: describe(z.array(origin).optional(), 'Origins that may call; `exact: "*"` is every origin.'),
  allowOrigin: describe(z.array(z.string().min(1)).optional(), 'Older form of allowOrigins: exact origins or `*`.'),
  allowMethods: describe(tokens.optional(), 'Methods that a preflight names; `*` is whichever it asks for.'),
  allowHeaders: describe(tokens.optional(), 'Headers that a preflight names; `*` is whichever it asks for.'),
  exposeHeaders: describe(tokens.optional(), 'Response headers that scripts may read.'),
  maxAge: describe(
    duration.refine((text) => (parseDurationMs(text) ?? 0) % 1000 === 0, 'must be whole seconds').optional(),
    'How long a browser keeps the answer to a preflight, in whole seconds.',
  ),
  allowCredentials: describe(z.boolean().optional(), 'Whether requests may carry credentials.'),
  unmatchedPreflights: describe(
    z.enum(['UNSPECIFIED', 'FORWARD', 'IGNORE']).optional(),
    'Preflights of other origins: FORWARD (default) sends them on, IGNORE answers 200 without allowing the origin.',
  ),
}).superRefine((value, context) => {
  if (value.allowOrigins !== undefined && value.allowOrigin !== undefined)
    context.addIssue({
      code: 'custom',
      path: ['allowOrigin'],
      message: 'stands beside allowOrigins; only one is allowed',
    });
});

export type CorsPolicy = z.infer<typeof corsPolicy>;
