// Istio's ProxyConfig.tracing: where spans go, how many requests are traced, and what is added to every span.
import { isIP } from 'node:net';
import { describe, headerName, nonEmptyText, record, refused, z } from './schema.js';

/** The two parts of `host:port`; an IPv6 address stands in brackets. Undefined where it is something else. */
export function parseCollectorAddress(address: string): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  if (!(port >= 1 && port <= 65535)) return undefined;
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { host, port } : undefined;
  if (isIP(host) === 4) return { host, port };
  const isName =
    host.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?$/i.test(host);
  return isName && !/^[\d.]+$/.test(host) ? { host, port } : undefined;
}

const collectorAddress = z.string().refine((address) => parseCollectorAddress(address) !== undefined, {
  message: 'must be host:port, such as 127.0.0.1:9411, [::1]:9411 or zipkin.example.com:9411',
});

const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable');

const withoutDefault = 'Value where there is none; empty (default): the tag is left out.';

const customTag = record({
  literal: describe(
    record({ value: describe(nonEmptyText, 'The value of the tag.') }).optional(),
    'A value that is always the same.',
  ),
  header: describe(
    record({
      name: describe(headerName, 'Name of the header.'),
      defaultValue: describe(z.string().default(''), withoutDefault),
    }).optional(),
    'The value of a request header.',
  ),
  environment: describe(
    record({
      name: describe(variableName, 'Name of the variable.'),
      defaultValue: describe(z.string().default(''), withoutDefault),
    }).optional(),
    'The value of an environment variable of the data plane.',
  ),
}).refine((tag) => Object.keys(tag).length === 1, {
  message: 'must have exactly one of literal, header and environment',
});

export const tracingSchema = record({
  zipkin: describe(
    record({
      address: describe(
        collectorAddress,
        'Where the collector listens, `host:port`; spans are posted to /api/v2/spans.',
      ),
    }).optional(),
    'Spans go to a Zipkin collector. Without it none are made, and trace headers are still passed on and made.',
  ),
  sampling: describe(
    z.number().min(0, 'must be from 0 to 100').max(100, 'must be from 0 to 100').default(1),
    'Percentage of requests that are traced where the caller has not decided, in steps of 0.01. Default 1; 0 traces none.',
  ),
  customTags: describe(
    z.record(nonEmptyText, customTag).optional(),
    'Further tags of every span, by name. Each value is one of the following.',
  ),
  maxPathTagLength: describe(
    z.int('must be a whole number').min(1, 'must be at least 1').max(65_536, 'must be at most 65536').default(256),
    'Longest path in the tag http.url, in characters; what is longer is cut. Default 256.',
  ),
  enableIstioTags: describe(
    z.boolean().default(true),
    'Whether spans carry the tags istio.canonical_service and the like. Default true.',
  ),
  lightstep: refused('Another kind of collector.', 'use zipkin'),
  datadog: refused('Another kind of collector.', 'use zipkin'),
  stackdriver: refused('Another kind of collector.', 'use zipkin'),
  openCensusAgent: refused('Another kind of collector.', 'use zipkin'),
  tlsSettings: refused('TLS towards the collector.'),
});

/** Settings of tracing with their defaults filled in. */
export type Tracing = z.infer<typeof tracingSchema>;
