// Spans have the form of Zipkin's API, version 2.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import * as z from 'zod';
import { encodeSpan, type Span } from './span.js';

/** The Span of https://zipkin.io/zipkin-api/zipkin2-api.yaml, without fields that are never sent. */
const zipkinSpan = z.strictObject({
  traceId: z.string().regex(/^[a-f0-9]{16,32}$/),
  id: z.string().regex(/^[a-f0-9]{16}$/),
  parentId: z
    .string()
    .regex(/^[a-f0-9]{16}$/)
    .optional(),
  kind: z.enum(['CLIENT', 'SERVER', 'PRODUCER', 'CONSUMER']),
  name: z.string(),
  timestamp: z.int().positive(),
  duration: z.int().min(1),
  debug: z.boolean().optional(),
  localEndpoint: z.strictObject({ serviceName: z.string(), ipv4: z.ipv4().optional() }),
  tags: z.record(z.string(), z.string()),
});

const hex = fc.constantFrom('463ac35c9f6413ad', 'a2fb4a1d1a96d312');
const span = fc.record<Span>({
  traceId: fc.tuple(hex, hex).map((halves) => halves.join('')),
  id: hex,
  parentId: fc.option(hex, { nil: undefined }),
  kind: fc.constantFrom('CLIENT', 'SERVER'),
  name: fc.string({ unit: 'binary' }),
  timestamp: fc.integer({ min: 1 }),
  duration: fc.nat(),
  debug: fc.boolean(),
  // The judge's own parser drops `__proto__`; spans carry it like any other.
  tags: fc.dictionary(
    fc.string().filter((name) => name !== '__proto__'),
    fc.string({ unit: 'binary' }),
  ),
});

it('every span is valid, whatever its request brought along', () => {
  fc.assert(
    fc.property(span, fc.option(fc.constant('10.0.0.1'), { nil: undefined }), (sent, ipv4) => {
      const read = zipkinSpan.parse(JSON.parse(encodeSpan(sent, { serviceName: 'web.shop', ipv4 })));
      assert.deepEqual({ ...read.tags }, { ...sent.tags });
      assert.deepEqual(read.localEndpoint, { serviceName: 'web.shop', ...(ipv4 === undefined ? {} : { ipv4 }) });
      assert.equal(read.name, sent.name);
    }),
  );
});

it('what took no time that can be measured took a microsecond, because zero means unknown', () => {
  const [sent] = fc.sample(span, 1) as [Span];
  const read = JSON.parse(encodeSpan({ ...sent, duration: 0 }, { serviceName: 'a', ipv4: undefined })) as Span;
  assert.equal(read.duration, 1);
});
