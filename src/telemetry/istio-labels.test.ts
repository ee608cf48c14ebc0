// Labels of Istio's standard metrics.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { istioLabels, unknownParty, type Call } from './istio-labels.js';

const call: Call = {
  reporter: 'destination',
  source: { ...unknownParty, workload: 'client', namespace: 'shop', principal: 'spiffe://td/ns/shop/sa/client' },
  destination: {
    workload: 'reviews-v2',
    namespace: 'shop',
    principal: 'spiffe://td/ns/shop/sa/reviews',
    app: 'reviews',
    version: 'v2',
    canonicalService: 'reviews',
    canonicalRevision: 'v2',
    cluster: 'Kubernetes',
  },
  service: { host: 'reviews.shop.svc.cluster.local', name: 'reviews', namespace: 'shop' },
  security: 'mutual_tls',
};
const pairs = (labels: readonly string[]) =>
  Object.fromEntries(Array.from({ length: labels.length / 2 }, (_, i) => [labels[2 * i]!, labels[2 * i + 1]!]));

it('a request has every label of istio_requests_total', () => {
  assert.deepEqual(pairs(istioLabels(call, { protocol: 'http', code: 503, flags: 'UH', grpcStatus: '' })), {
    reporter: 'destination',
    source_workload: 'client',
    source_canonical_service: 'unknown',
    source_canonical_revision: 'latest',
    source_workload_namespace: 'shop',
    source_principal: 'spiffe://td/ns/shop/sa/client',
    source_app: 'unknown',
    source_version: 'unknown',
    source_cluster: 'unknown',
    destination_workload: 'reviews-v2',
    destination_workload_namespace: 'shop',
    destination_principal: 'spiffe://td/ns/shop/sa/reviews',
    destination_app: 'reviews',
    destination_version: 'v2',
    destination_service: 'reviews.shop.svc.cluster.local',
    destination_canonical_service: 'reviews',
    destination_canonical_revision: 'v2',
    destination_service_name: 'reviews',
    destination_service_namespace: 'shop',
    destination_cluster: 'Kubernetes',
    request_protocol: 'http',
    response_code: '503',
    grpc_response_status: '',
    response_flags: 'UH',
    connection_security_policy: 'mutual_tls',
  });
});

it('a TCP connection has the same labels but for code and gRPC status', () => {
  const http = pairs(istioLabels(call, { protocol: 'http', code: 200, flags: '-', grpcStatus: '0' }));
  const tcp = pairs(istioLabels(call, { protocol: 'tcp', code: 0, flags: '-', grpcStatus: '' }));
  delete http['response_code'];
  delete http['grpc_response_status'];
  assert.deepEqual(tcp, { ...http, request_protocol: 'tcp' });
});
