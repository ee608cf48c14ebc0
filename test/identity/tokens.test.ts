// The socket of the control plane: whoever reaches it without a token of a workload gets nothing, and with one only what is
// that workload's.
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { create } from '@bufbuild/protobuf';
import { createSigningRequest } from '../../src/identity/signing-request.js';
import { requestCertificate } from '../../src/proxy/certificate-client.js';
import { ObservationService, ReportSchema } from '../../src/telemetry/gen/observation_pb.js';
import { Http2Channel } from '../../src/proxy/grpc/channel.js';
import type { GrpcMethod } from '../../src/util/grpc-channel.js';
import { grpcMethod } from '../../src/util/grpc-method.js';
import { AggregatedDiscoveryService, DeltaDiscoveryRequestSchema } from '../../src/xds/messages.js';
import { app, TestMesh } from '../harness/mesh.js';

describe('the control plane', () => {
  let mesh: TestMesh;
  let socket: string;
  let channel: Http2Channel;

  before(async () => {
    const runtime = mkdtempSync(join(tmpdir(), 'rt-'));
    mesh = await TestMesh.start(
      { 'mesh.yaml': `services: { web: { port: 8080, protocol: http, command: ${JSON.stringify(app('echo.mjs'))} } }` },
      { env: { XDG_RUNTIME_DIR: runtime } },
    );
    socket = join(runtime, readdirSync(runtime)[0]!, 'control.sock');
    channel = new Http2Channel(`unix:${socket}`);
  });
  after(async () => {
    channel.close();
    await mesh.close();
  });

  const bearer = (token: string | undefined) => (token === undefined ? [] : ['authorization', `Bearer ${token}`]);

  /** The status with which a stream is refused, or -1 where it is answered. */
  function refusal<I, O>(method: GrpcMethod<I, O>, first: I, token: string | undefined): Promise<number> {
    return new Promise((resolve) => {
      const stream = channel.call(
        method,
        { onMessage: () => resolve(-1), onEnd: (failure) => resolve(failure?.code ?? 0) },
        { headers: bearer(token) },
      );
      stream.write(first);
    });
  }

  const askForClusters = (token: string | undefined) =>
    refusal(
      grpcMethod(AggregatedDiscoveryService.method.deltaAggregatedResources),
      create(DeltaDiscoveryRequestSchema, { typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster' }),
      token,
    );
  const report = (token: string | undefined) =>
    refusal(grpcMethod(ObservationService.method.observe), create(ReportSchema, { epoch: 'x' }), token);

  it('lies in a folder that only its user may enter', () =>
    assert.equal(statSync(join(socket, '..')).mode & 0o777, 0o700));

  for (const [what, token] of [
    ['no token', undefined],
    ['an empty token', ''],
    ['a token that nobody was given', 'A'.repeat(43)],
  ] as const) {
    it(`gives no certificate for ${what}`, async () =>
      assert.rejects(
        requestCertificate(channel, bearer(token), createSigningRequest().csrPem),
        /token is not one of a workload/,
      ));
    it(`gives no configuration for ${what}`, async () =>
      assert.equal(await askForClusters(token), status.UNAUTHENTICATED));
    it(`takes no observations for ${what}`, async () => assert.equal(await report(token), status.UNAUTHENTICATED));
  }

  it('keeps its state where only its user may read it', () => {
    const state = join(mesh.directory, '.lateen');
    assert.equal(statSync(state).mode & 0o777, 0o700);
    for (const name of ['authority.pem', 'last-good.json', 'run.json']) {
      const file = readdirSync(state).includes(name) ? statSync(join(state, name)) : undefined;
      if (name !== 'last-good.json') assert.ok(file !== undefined, name);
      if (file !== undefined) assert.equal(file.mode & 0o777, 0o600, name);
    }
  });
});
