// Puts a request into its trace: continues the caller's or begins one, names its own span to whoever is called, and reports
// that span when everything is over. Names and tags are Envoy's.
import { newId } from '../../../telemetry/spans/random-ids.js';
import type { Span } from '../../../telemetry/spans/span.js';
import { wallMicros } from '../../../telemetry/spans/wall-clock.js';
import { isGrpcFailure } from '../../../util/grpc-codes.js';
import type { Exchange } from '../exchange.js';
import type { GrpcCall } from '../grpc-call.js';
import type { Layer } from '../stack.js';
import { pushTraceHeaders, takeTraceHeaders } from '../trace-headers.js';
import { decide, type RequestTrace, type TracingSettings } from '../tracing.js';

const operationHeader = 'x-envoy-decorator-operation';

export function trace(tracing: TracingSettings): Layer {
  return {
    onRequest(exchange) {
      exchange.trace = begin(exchange, tracing);
      return true;
    },
    onComplete(exchange) {
      // What could not be read has no trace; what goes on elsewhere has its span there.
      if (tracing.report === undefined || exchange.request.headBytes === 0 || !exchange.isCounted) return;
      // A layer before this one may have answered.
      const own = (exchange.trace ??= begin(exchange, tracing));
      if (own.context.sampled === true) tracing.report(spanOf(exchange, own, tracing));
    },
  };
}

function begin(exchange: Exchange, tracing: TracingSettings): RequestTrace {
  const { request, route, connection, settings } = exchange;
  const { headers } = request;
  const incoming = takeTraceHeaders(headers);
  const { caller, debug } = incoming;
  const sampled = incoming.sampled ?? decide(headers, tracing, exchange.environment.random);
  const traceId = caller?.traceId ?? (tracing.longIds ? newId() + newId() : newId());
  // Where no span is made the caller's is passed on: nobody should look for a parent that was never reported.
  const spanId = tracing.report === undefined ? (caller?.spanId ?? newId()) : newId();
  const context = { traceId, spanId, sampled, debug };
  const parentId = spanId === caller?.spanId ? undefined : caller?.spanId;
  pushTraceHeaders(headers, context, parentId, incoming.usesB3);
  if (settings.direction === 'outbound' && route?.propagatesOperation === true)
    headers.push(operationHeader, route.operation);
  const isBelieved = settings.direction === 'inbound' && connection.security === 'mutual_tls';
  return { context, parentId, operation: isBelieved ? incoming.operation : undefined };
}

function spanOf(exchange: Exchange, { context, parentId, operation }: RequestTrace, tracing: TracingSettings): Span {
  const { settings, route, request, startMs, endMs } = exchange;
  const isInbound = settings.direction === 'inbound';
  const ownOperation = route?.operation === '' ? undefined : route?.operation;
  return {
    traceId: context.traceId,
    id: context.spanId,
    parentId,
    kind: isInbound ? 'SERVER' : 'CLIENT',
    name:
      (operation === '' ? undefined : operation) ??
      ownOperation ??
      (isInbound ? 'ingress' : `egress ${request.authority}`),
    timestamp: wallMicros(startMs),
    duration: Math.round((endMs - startMs) * 1000),
    debug: context.debug,
    tags: tagsOf(exchange, tracing),
  };
}

function tagsOf(exchange: Exchange, { maxPathTagLength, customTags }: TracingSettings): Record<string, string> {
  const { request, connection, cluster, responseCode, grpc } = exchange;
  const tags = Object.create(null) as Record<string, string>;
  tags['component'] = 'proxy';
  const requestId = exchange.requestHeader('x-request-id');
  if (requestId !== undefined) tags['guid:x-request-id'] = requestId;
  const clientTraceId = exchange.requestHeader('x-client-trace-id');
  if (clientTraceId !== undefined) tags['guid:x-client-trace-id'] = clientTraceId;
  const path = (exchange.originalPath ?? request.path).slice(0, maxPathTagLength);
  tags['http.url'] = `${exchange.requestHeader('x-forwarded-proto') ?? request.scheme}://${request.authority}${path}`;
  tags['http.method'] = request.method;
  tags['http.protocol'] = request.version;
  tags['http.status_code'] = String(responseCode);
  tags['downstream_cluster'] = exchange.requestHeader('x-envoy-downstream-service-cluster') ?? '-';
  tags['user_agent'] = exchange.requestHeader('user-agent') ?? '-';
  tags['peer.address'] = connection.remoteAddress.replace(/:\d+$/, '');
  tags['request_size'] = String(exchange.bytesReceived);
  tags['response_size'] = String(exchange.bytesSent);
  tags['response_flags'] = exchange.responseFlags;
  if (cluster !== undefined) {
    tags['upstream_cluster'] = cluster.name;
    tags['upstream_cluster.name'] = cluster.name;
  }
  if (responseCode === 0 || responseCode >= 500) tags['error'] = 'true';
  if (grpc !== undefined) addGrpcTags(tags, exchange, grpc);
  for (const { name, valueOf } of customTags) {
    const value = valueOf(exchange);
    if (value !== '') tags[name] = value;
  }
  return tags;
}

function addGrpcTags(tags: Record<string, string>, exchange: Exchange, grpc: GrpcCall): void {
  const { request, response } = exchange;
  tags['grpc.path'] = request.path;
  tags['grpc.authority'] = request.authority;
  tags['grpc.content_type'] = exchange.requestHeader('content-type') ?? '';
  const timeout = exchange.requestHeader('grpc-timeout');
  if (timeout !== undefined) tags['grpc.timeout'] = timeout;
  const status = grpc.toldStatusOf(response);
  if (status === undefined) return;
  tags['grpc.status_code'] = String(status);
  const message = grpc.messageOf(response);
  if (message !== undefined) tags['grpc.message'] = message;
  if (isGrpcFailure(status)) tags['error'] = 'true';
}
