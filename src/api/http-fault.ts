// Delays and errors that a rule injects (Istio's HTTPFaultInjection).
import { grpcCodes } from '../util/grpc-codes.js';
import { describe, percent, positiveDuration, record, refused, z } from './schema.js';

const delay = record({
  fixedDelay: describe(positiveDuration, 'How long a request is kept back before it is forwarded.'),
  percentage: describe(percent.optional(), 'Share of requests that are delayed; none without it.'),
  percent: describe(
    z.int('must be a whole number').min(0, 'must not be negative').max(100, 'must be at most 100').optional(),
    'Older form of percentage, which counts where both are given.',
  ),
  exponentialDelay: refused('Delays of random length.'),
});

const abort = record({
  httpStatus: describe(
    z.int('must be a whole number').min(200, 'must be at least 200').max(599, 'must be at most 599').optional(),
    'Status that is answered.',
  ),
  grpcStatus: describe(
    z.enum(Object.keys(grpcCodes) as [keyof typeof grpcCodes]).optional(),
    'Status of gRPC that is answered, such as UNAVAILABLE; other requests get 200.',
  ),
  http2Error: refused('Error of HTTP/2 that ends the request.'),
  percentage: describe(
    percent.optional(),
    'Share of requests that are answered instead of forwarded; none without it.',
  ),
}).superRefine((value, context) => {
  const given = (['httpStatus', 'grpcStatus'] as const).filter((name) => value[name] !== undefined);
  if (given.length !== 1 && value.http2Error === undefined)
    context.addIssue({
      code: 'custom',
      message:
        given.length === 0 ? 'needs httpStatus or grpcStatus' : 'has httpStatus and grpcStatus; only one is allowed',
    });
});

/** @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPFaultInjection */
export const httpFault = record({
  delay: describe(delay.optional(), 'Keeps requests back; what is aborted too is answered after the delay.'),
  abort: describe(abort.optional(), 'Answers instead of forwarding.'),
}).superRefine((value, context) => {
  if (value.delay === undefined && value.abort === undefined)
    context.addIssue({ code: 'custom', message: 'needs delay or abort' });
});

export type HttpFault = z.infer<typeof httpFault>;
