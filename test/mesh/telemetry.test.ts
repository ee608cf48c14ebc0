// What the mesh records of a request without the application's help: Istio's metrics and access logs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { request } from '../harness/http.js';
import { app, eventually, TestMesh } from '../harness/mesh.js';
import { scrape, sumOf, type Sample } from '../harness/metrics.js';

const echo = JSON.stringify(app('echo.mjs'));
const services = `
services:
  web:
    namespace: shop
    port: 8080
    protocol: http
    serviceAccount: front
    versions: { v1: { command: ${echo} } }
  client: { namespace: shop, labels: { team: a }, command: sleep 1000 }
`;
const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;

/** Labels of Istio's request metrics, in their order. */
const requestLabels = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
];

describe('telemetry of a strict mesh', () => {
  let mesh: TestMesh;
  let samples: Sample[];
  const logOf = () => readFileSync(join(mesh.directory, 'access.log'), 'utf8').trim().split('\n');

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `meshConfig: { accessLogFile: access.log }${services}`,
      'strict.yaml': strict,
    });
    const port = mesh.workload('client-0').upstreams['web']!;
    for (let i = 0; i < 5; i++)
      await request({
        port,
        path: '/bytes/1000',
        method: 'POST',
        body: 'x'.repeat(200),
        headers: { 'user-agent': 'a "test"', 'x-request-id': `id-${i}` },
      });
    await request({ port, path: '/status/500' });
    samples = await scrape(mesh.run.url);
  });
  after(() => mesh.close());

  it('the source reports every label of Istio', () => {
    const sample = samples.find(
      ({ name, labels }) =>
        name === 'istio_requests_total' && labels['reporter'] === 'source' && labels['response_code'] === '200',
    )!;
    assert.deepEqual(Object.keys(sample.labels), requestLabels);
    assert.equal(sample.value, 5);
    assert.deepEqual(sample.labels, {
      reporter: 'source',
      source_workload: 'client',
      source_canonical_service: 'client',
      source_canonical_revision: 'latest',
      source_workload_namespace: 'shop',
      source_principal: 'spiffe://cluster.local/ns/shop/sa/client',
      source_app: 'client',
      source_version: 'unknown',
      source_cluster: 'local',
      destination_workload: 'web-v1',
      destination_workload_namespace: 'shop',
      destination_principal: 'spiffe://cluster.local/ns/shop/sa/front',
      destination_app: 'web',
      destination_version: 'v1',
      destination_service: 'web.shop.svc.cluster.local',
      destination_canonical_service: 'web',
      destination_canonical_revision: 'v1',
      destination_service_name: 'web',
      destination_service_namespace: 'shop',
      destination_cluster: 'local',
      request_protocol: 'http',
      response_code: '200',
      grpc_response_status: '',
      response_flags: '-',
      connection_security_policy: 'unknown',
    });
  });

  it('the destination reports the same call, and that it was mTLS', () => {
    const source = samples.find(
      ({ name, labels }) =>
        name === 'istio_requests_total' && labels['reporter'] === 'source' && labels['response_code'] === '200',
    )!;
    const destination = samples.find(
      ({ name, labels }) =>
        name === 'istio_requests_total' && labels['reporter'] === 'destination' && labels['response_code'] === '200',
    )!;
    assert.deepEqual(destination.labels, {
      ...source.labels,
      reporter: 'destination',
      connection_security_policy: 'mutual_tls',
    });
    assert.equal(destination.value, 5);
  });

  it('errors of the application are counted with their code', () =>
    assert.equal(
      sumOf(samples, 'istio_requests_total', { reporter: 'source', response_code: '500', response_flags: '-' }),
      1,
    ));

  it('sizes count heads and bodies', () => {
    const wanted = { reporter: 'source', response_code: '200' };
    const sent = sumOf(samples, 'istio_response_bytes_sum', wanted) / 5;
    const received = sumOf(samples, 'istio_request_bytes_sum', wanted) / 5;
    assert.ok(sent > 1000 && sent < 1400, `${sent} bytes a response`);
    assert.ok(received > 200 && received < 600, `${received} bytes a request`);
  });

  it('histograms have the buckets of Istio', () => {
    const bounds = samples
      .filter(
        ({ name, labels }) =>
          name === 'istio_request_duration_milliseconds_bucket' &&
          labels['reporter'] === 'source' &&
          labels['response_code'] === '200',
      )
      .map(({ labels }) => labels['le']);
    assert.deepEqual(bounds, [
      '0.5',
      '1',
      '5',
      '10',
      '25',
      '50',
      '100',
      '250',
      '500',
      '1000',
      '2500',
      '5000',
      '10000',
      '30000',
      '60000',
      '300000',
      '600000',
      '1800000',
      '3600000',
      '+Inf',
    ]);
  });

  it('the access log has a line of Istio for each request on each side', async () => {
    const lines = await eventually(() => logOf().length === 12 && logOf(), 'twelve lines');
    const outbound = lines.find(
      (line) => line.includes('"id-3"') && line.includes('outbound|8080||web.shop.svc.cluster.local'),
    )!;
    const web = mesh.workload('web-v1-0');
    assert.match(
      outbound,
      new RegExp(
        `^\\[\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\] "POST /bytes/1000 HTTP/1\\.1" 200 - via_upstream - "-" 200 1000 \\d+ \\d+ "-" "a \\\\"test\\\\"" "id-3" "web" "127\\.0\\.0\\.1:${web.inbound!.port}" outbound\\|8080\\|\\|web\\.shop\\.svc\\.cluster\\.local 127\\.0\\.0\\.1:\\d+ 127\\.0\\.0\\.1:\\d+ 127\\.0\\.0\\.1:\\d+ - default$`,
      ),
    );
    const inbound = lines.find((line) => line.includes('"id-3"') && line.includes('inbound|8080||'))!;
    assert.match(
      inbound,
      new RegExp(
        `"127\\.0\\.0\\.1:${web.app!.port}" inbound\\|8080\\|\\| .* outbound_\\.8080_\\._\\.web\\.shop\\.svc\\.cluster\\.local default$`,
      ),
    );
  });

  it('the expiry of every certificate is a metric', () => {
    const found = samples.filter(({ name }) => name === 'lateen_certificate_expiration_timestamp_seconds');
    assert.deepEqual(found.map(({ labels }) => labels['spiffe_id']).sort(), [
      'spiffe://cluster.local/ns/shop/sa/client',
      'spiffe://cluster.local/ns/shop/sa/front',
    ]);
    for (const { value } of found)
      assert.ok(value > Date.now() / 1000 + 23 * 3600 && value < Date.now() / 1000 + 25 * 3600);
  });
});

describe('telemetry of a permissive mesh', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await TestMesh.start({
      'mesh.yaml': `meshConfig: { accessLogFile: access.json, accessLogEncoding: JSON }${services}`,
    });
  });
  after(() => mesh.close());

  it('a caller without a certificate is unknown, and its requests are marked', async () => {
    const web = mesh.workload('web-v1-0');
    assert.equal(
      (await request({ port: web.inbound!.port, path: '/status/204', headers: { host: 'web' } })).status,
      204,
    );
    const sample = (await scrape(mesh.run.url)).find(
      ({ name, labels }) => name === 'istio_requests_total' && labels['response_code'] === '204',
    )!;
    assert.equal(sample.labels['connection_security_policy'], 'none');
    for (const label of ['source_workload', 'source_principal', 'source_workload_namespace', 'destination_principal'])
      assert.equal(sample.labels[label], 'unknown', label);
    assert.equal(sample.labels['destination_workload'], 'web-v1');
  });

  it('a caller cannot name itself by headers', async () => {
    const { body } = await request({
      port: mesh.workload('web-v1-0').inbound!.port,
      headers: {
        host: 'web',
        'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/shop/sa/admin',
        'x-envoy-peer-metadata': 'x',
        'x-envoy-peer-metadata-id': 'y',
      },
    });
    const { headers } = JSON.parse(body) as { headers: Record<string, string> };
    for (const name of ['x-forwarded-client-cert', 'x-envoy-peer-metadata', 'x-envoy-peer-metadata-id'])
      assert.equal(headers[name], undefined);
  });

  it('the JSON log has the fields of Istio', async () => {
    const line = await eventually(
      () => readFileSync(join(mesh.directory, 'access.json'), 'utf8').split('\n')[0] || undefined,
      'a line',
    );
    const fields = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual(Object.keys(fields).sort(), [
      'authority',
      'bytes_received',
      'bytes_sent',
      'connection_termination_details',
      'downstream_local_address',
      'downstream_remote_address',
      'duration',
      'method',
      'path',
      'protocol',
      'request_id',
      'requested_server_name',
      'response_code',
      'response_code_details',
      'response_flags',
      'route_name',
      'start_time',
      'upstream_cluster',
      'upstream_host',
      'upstream_local_address',
      'upstream_service_time',
      'upstream_transport_failure_reason',
      'user_agent',
      'x_forwarded_for',
    ]);
    assert.equal(fields['method'], 'GET');
    assert.equal(fields['response_code'], 204);
    assert.equal(fields['authority'], 'web');
    assert.equal(fields['x_forwarded_for'], null);
    assert.equal(fields['upstream_cluster'], 'inbound|8080||');
  });

  it('ready names the workloads that accept plaintext', () =>
    assert.match(
      mesh.output,
      /^these workloads accept plaintext: web-v1-0; a PeerAuthentication with mode STRICT in the root namespace ends that$/m,
    ));

  it('logs on standard output carry the name of the workload', async () => {
    mesh.write({
      'mesh.yaml': `meshConfig: { accessLogFile: /dev/stdout, accessLogFormat: "%RESPONSE_CODE% %REQ(:PATH)% %UPSTREAM_CLUSTER%" }${services}`,
    });
    const port = mesh.workload('client-0').upstreams['web']!;
    await eventually(async () => {
      await request({ port, path: '/status/200' });
      return (
        /^\[client-0\] 200 \/status\/200 outbound\|8080\|\|web\.shop\.svc\.cluster\.local$/m.test(mesh.output) &&
        /^\[web-v1-0\] 200 \/status\/200 inbound\|8080\|\|$/m.test(mesh.output)
      );
    }, 'lines of both sides');
  });
});
