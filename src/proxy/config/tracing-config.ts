// Reads the tracing of a connection manager from Envoy's messages; what this proxy cannot do is refused by name.
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { Span } from '../../telemetry/spans/span.js';
import { UnsupportedConfig } from '../http/matchers.js';
import { wholeShare, type CustomTag, type TracingSettings } from '../http/tracing.js';
import {
  ZipkinConfig_CollectorEndpointVersion as EndpointVersion,
  ZipkinConfigSchema,
  type CustomTag as CustomTagMessage,
  type HttpConnectionManager_Tracing,
} from '../../xds/messages.js';

/** Where spans are posted. */
export interface SpanCollector {
  readonly cluster: string;
  readonly path: string;
  /** Host header of the posts. */
  readonly hostname: string;
}

/** Opens the way to a collector; the returned function takes finished spans. */
export type OpenSpanSink = (collector: SpanCollector) => (span: Span) => void;

/** @throws UnsupportedConfig */
export function readTracing(
  tracing: HttpConnectionManager_Tracing | undefined,
  openSpanSink: OpenSpanSink,
): TracingSettings | undefined {
  if (tracing === undefined) return undefined;
  if (tracing.verbose) throw new UnsupportedConfig('verbose spans are not supported');
  if (tracing.spawnUpstreamSpan === true)
    throw new UnsupportedConfig('spans of their own for upstream requests are not supported');
  const customTags = tracing.customTags.map(readCustomTag);
  const provider = readProvider(tracing);
  return {
    clientShare: shareOf(tracing.clientSampling),
    randomShare: shareOf(tracing.randomSampling),
    overallShare: shareOf(tracing.overallSampling),
    longIds: provider?.longIds ?? true,
    maxPathTagLength: tracing.maxPathTagLength ?? 256,
    customTags,
    report: provider === undefined ? undefined : openSpanSink(provider.collector),
  };
}

/** Envoy counts shares in hundredths of a percent; absent means all. */
function shareOf(percent: { readonly value: number } | undefined): number {
  return percent === undefined ? wholeShare : Math.round((percent.value * wholeShare) / 100);
}

function readProvider({ provider }: HttpConnectionManager_Tracing) {
  if (provider === undefined) return undefined;
  const config = provider.configType.case === 'typedConfig' ? provider.configType.value : undefined;
  const zipkin = config === undefined ? undefined : anyUnpack(config, ZipkinConfigSchema);
  if (zipkin === undefined) throw new UnsupportedConfig(`tracer ${provider.name} is not supported`);
  if (zipkin.collectorEndpointVersion !== EndpointVersion.HTTP_JSON)
    throw new UnsupportedConfig('spans can be sent as JSON over HTTP only');
  if (zipkin.sharedSpanContext !== false)
    throw new UnsupportedConfig('spans that client and server share are not supported');
  return {
    longIds: zipkin.traceId128bit,
    collector: {
      cluster: zipkin.collectorCluster,
      path: zipkin.collectorEndpoint,
      hostname: zipkin.collectorHostname === '' ? zipkin.collectorCluster : zipkin.collectorHostname,
    },
  };
}

function readCustomTag({ tag: name, type }: CustomTagMessage): CustomTag {
  switch (type.case) {
    case 'literal': {
      const { value } = type.value;
      return { name, valueOf: () => value };
    }
    case 'environment': {
      const value = process.env[type.value.name] ?? type.value.defaultValue;
      return { name, valueOf: () => value };
    }
    case 'requestHeader': {
      const { name: header, defaultValue } = type.value;
      const lowerCase = header.toLowerCase();
      return { name, valueOf: (exchange) => exchange.requestHeader(lowerCase) ?? defaultValue };
    }
    default:
      throw new UnsupportedConfig(`tag ${name} from ${type.case ?? '(nothing)'} is not supported`);
  }
}
