// Counts every request and writes its log line when it is over.
import { unknownParty, type CalledService, type Party } from '../../../telemetry/istio-labels.js';
import type { CallSeries, RequestSeries } from '../../../telemetry/series.js';
import type { Exchange } from '../exchange.js';
import { knownGrpcStatus } from '../grpc-status.js';
import type { Layer } from '../stack.js';

export const record: Layer = {
  onResponse(exchange) {
    exchange.grpc?.countIn(callsOf(exchange).messages());
  },
  onComplete(exchange) {
    const { accessLogs } = exchange.environment;
    for (let i = 0; i < accessLogs.length; i++) accessLogs[i]!.write(accessLogs[i]!.format(exchange));
    if (!exchange.isCounted) return;
    const { request, bytesReceived, bytesSent, responseHeadBytes } = exchange;
    const calls = callsOf(exchange);
    seriesOf(exchange, calls).record(
      exchange.durationMs,
      request.headBytes + bytesReceived,
      responseHeadBytes + bytesSent,
    );
  },
};

function callsOf(exchange: Exchange): CallSeries {
  return exchange.settings.direction === 'inbound' ? inboundCalls(exchange) : outboundCalls(exchange);
}

function seriesOf({ grpc, grpcStatus, responseCode, responseFlags }: Exchange, calls: CallSeries): RequestSeries {
  if (grpc === undefined) return calls.requests(responseCode, responseFlags);
  grpc.countIn(calls.messages());
  return calls.grpcRequests(
    responseCode,
    responseFlags,
    grpcStatus === undefined ? undefined : knownGrpcStatus(grpcStatus),
  );
}

/** Who calls is the same for all requests of a connection: resolved at its first. */
function inboundCalls({ connection, environment, cluster }: Exchange): CallSeries {
  const self = environment.self();
  if (connection.calls?.self === self) return connection.calls.series;
  const series = environment.registry.call({
    reporter: 'destination',
    source: connection.source,
    destination: connection.security === 'mutual_tls' ? self : unproved(self),
    service: cluster?.service ?? {
      host: self.canonicalService,
      name: self.canonicalService,
      namespace: self.namespace,
    },
    security: connection.security,
  });
  connection.calls = { self, series };
  return series;
}

/** Who answers is the same for all requests of an upstream connection. */
function outboundCalls({ endpoint, peer, cluster, request, environment }: Exchange): CallSeries {
  const self = environment.self();
  if (endpoint === undefined)
    return outboundSeries(
      unproved(self),
      unknownParty,
      cluster?.service ?? serviceOfHost(request.authority),
      environment.registry,
    );
  const destination = peer ?? endpoint.options.party;
  const known = endpoint.calls.get(destination);
  if (known?.self === self) return known.series;
  const series = outboundSeries(
    peer === undefined ? unproved(self) : self,
    destination,
    cluster!.service,
    environment.registry,
  );
  endpoint.calls.set(destination, { self, series });
  return series;
}

function outboundSeries(
  source: Party,
  destination: Party,
  service: CalledService,
  registry: Exchange['environment']['registry'],
): CallSeries {
  return registry.call({ reporter: 'source', source, destination, service, security: 'unknown' });
}

/** Where no certificate was shown no principal is known, our own included. */
function unproved(self: Party): Party {
  return { ...self, principal: unknownParty.principal };
}

/** Where no cluster was found, the host that was asked for stands for the service, as in Istio. */
function serviceOfHost(host: string): CalledService {
  const name = host === '' ? unknownParty.workload : host;
  return { host: name, name, namespace: unknownParty.namespace };
}
