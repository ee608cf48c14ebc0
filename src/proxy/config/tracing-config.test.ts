// Tracing as messages say it; what cannot be done is refused by name.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import type { Exchange } from '../http/exchange.js';
import { HttpConnectionManager_TracingSchema, RawBufferSchema, ZipkinConfigSchema } from '../../xds/messages.js';
import { readTracing, type SpanCollector } from './tracing-config.js';

type Init = Exclude<MessageInitShape<typeof HttpConnectionManager_TracingSchema>, { $typeName: string }>;

function read(init: Init) {
  const opened: SpanCollector[] = [];
  const tracing = readTracing(create(HttpConnectionManager_TracingSchema, init), (collector) => {
    opened.push(collector);
    return () => undefined;
  })!;
  return { ...tracing, opened };
}

const zipkin = (init: Exclude<MessageInitShape<typeof ZipkinConfigSchema>, { $typeName: string }> = {}): Init => ({
  provider: {
    name: 'envoy.tracers.zipkin',
    configType: {
      case: 'typedConfig',
      value: anyPack(
        ZipkinConfigSchema,
        create(ZipkinConfigSchema, {
          collectorCluster: 'z',
          collectorEndpoint: '/api',
          collectorEndpointVersion: 1,
          sharedSpanContext: false,
          ...init,
        }),
      ),
    },
  },
});

describe('tracing', () => {
  it('that is not configured is none', () =>
    assert.equal(
      readTracing(undefined, () => assert.fail()),
      undefined,
    ));
  it('has shares of ten thousand, all where nothing is said', () => {
    const { clientShare, randomShare, overallShare } = read({
      randomSampling: { value: 0.01 },
      overallSampling: { value: 99.5 },
    });
    assert.deepEqual([clientShare, randomShare, overallShare], [10_000, 1, 9950]);
    assert.equal(read({ randomSampling: { value: 0 } }).randomShare, 0);
  });
  it('without a provider reports nothing', () => {
    const { report, opened } = read({});
    assert.deepEqual([report, opened], [undefined, []]);
  });
  it('reports to the cluster of the collector', () => {
    assert.deepEqual(read(zipkin({ collectorHostname: 'h' })).opened, [{ cluster: 'z', path: '/api', hostname: 'h' }]);
    assert.equal(read(zipkin()).opened[0]!.hostname, 'z');
  });
  it('makes ids of the length that is configured', () =>
    assert.deepEqual([read(zipkin()).longIds, read(zipkin({ traceId128bit: true })).longIds], [false, true]));
  it('takes tags from the request, the environment and itself', () => {
    const exchange = { requestHeader: (name: string) => (name === 'here' ? 'there' : undefined) } as Exchange;
    const { customTags } = read({
      customTags: [
        { tag: 'a', type: { case: 'literal', value: { value: '1' } } },
        { tag: 'b', type: { case: 'requestHeader', value: { name: 'Here', defaultValue: '2' } } },
        { tag: 'c', type: { case: 'requestHeader', value: { name: 'gone', defaultValue: '3' } } },
        { tag: 'd', type: { case: 'environment', value: { name: 'PATH' } } },
        { tag: 'e', type: { case: 'environment', value: { name: 'LATEEN_NOT_SET', defaultValue: '5' } } },
      ],
    });
    assert.deepEqual(
      customTags.map(({ name, valueOf }) => [name, valueOf(exchange)]),
      [
        ['a', '1'],
        ['b', 'there'],
        ['c', '3'],
        ['d', process.env['PATH']],
        ['e', '5'],
      ],
    );
  });

  for (const [what, init, said] of [
    ['verbose spans', { verbose: true }, /verbose/],
    ['spans of upstream requests', { spawnUpstreamSpan: true }, /upstream requests/],
    ['a tag from metadata', { customTags: [{ tag: 't', type: { case: 'metadata', value: {} } }] }, /tag t .*metadata/],
    ['an empty tag', { customTags: [{ tag: 't' }] }, /tag t .*nothing/],
    ['protobuf', zipkin({ collectorEndpointVersion: 2 }), /as JSON/],
    ['shared spans', zipkin({ sharedSpanContext: true }), /share/],
    ['spans that are shared because nothing is said', zipkin({ sharedSpanContext: undefined }), /share/],
    ['another tracer', { provider: { name: 'other' } }, /tracer other/],
    [
      'what is no tracer',
      {
        provider: {
          name: 'raw',
          configType: { case: 'typedConfig', value: anyPack(RawBufferSchema, create(RawBufferSchema)) },
        },
      },
      /tracer raw/,
    ],
  ] satisfies [string, Init, RegExp][])
    it(`with ${what} is refused`, () => assert.throws(() => read(init), said));
});
