// Istio's signing API over real gRPC.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, Server, ServerCredentials, status, type ServiceError } from '@grpc/grpc-js';
import {
  IstioCertificateRequestSchema,
  IstioCertificateService,
  type IstioCertificateResponse,
} from '../identity/gen/istio-ca_pb.js';
import { createSigningRequest } from '../identity/signing-request.js';
import { grpcMethod } from '../util/grpc-method.js';
import { grpcService } from '../util/grpc.js';
import { Logger } from '../util/logger.js';
import { Authority } from './authority.js';
import { createCertificate } from './certificate-service.js';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const method = grpcMethod(IstioCertificateService.method.createCertificate);
const hour = 3600n;

describe('the signing API', () => {
  let server: Server;
  let client: Client;
  let authority: Authority;
  let broken: Error | undefined;
  let logged = '';
  const issued: [string, number][] = [];

  before(async () => {
    ({ authority } = await Authority.create('cluster.local', Date.now()));
    server = new Server();
    server.addService(grpcService(IstioCertificateService), {
      createCertificate: createCertificate({
        authority: {
          sign: (...args: Parameters<Authority['sign']>) =>
            broken === undefined ? authority.sign(...args) : Promise.reject(broken),
        } as unknown as Authority,
        authenticate: (metadata) => (metadata.get('authorization')[0] === 'Bearer good' ? web : undefined),
        lifetimeMs: () => 2 * 3_600_000,
        log: new Logger('ca', 'error', (line) => (logged += line)),
        onIssued: (...what) => issued.push(what),
      }),
    });
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  });
  after(() => {
    client.close();
    server.forceShutdown();
  });
  beforeEach(() => {
    broken = undefined;
    logged = '';
  });

  function ask(csr: string, { token = 'good', validityDuration = 0n } = {}): Promise<IstioCertificateResponse> {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    return new Promise((resolve, reject) =>
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        create(IstioCertificateRequestSchema, { csr, validityDuration }),
        metadata,
        (error, response) => (error === null ? resolve(response!) : reject(error)),
      ),
    );
  }
  const refusedWith = (code: status, details: RegExp) => (error: ServiceError) => {
    assert.equal(error.code, code, error.details);
    assert.match(error.details, details);
    return true;
  };
  const remaining = (pem: string) => Date.parse(new X509Certificate(pem).validTo) - Date.now();

  it('issues for the identity that the token proves, leaf first and root last', async () => {
    const { certChain } = await ask(createSigningRequest().csrPem);
    assert.equal(certChain.length, 2);
    assert.equal(new X509Certificate(certChain[0]!).subjectAltName, `URI:${web}`);
    assert.equal(certChain[1], authority.rootPem);
    const [name, notAfterMs] = issued.at(-1)!;
    assert.equal(name, web);
    assert.equal(notAfterMs, Date.parse(new X509Certificate(certChain[0]!).validTo));
  });

  it('gives the usual life where none, or less than none, is asked for', async () => {
    for (const validityDuration of [0n, -5n]) {
      const { certChain } = await ask(createSigningRequest().csrPem, { validityDuration });
      const left = remaining(certChain[0]!);
      assert.ok(left > 3_600_000 && left <= 2 * 3_600_000, `${left} ms`);
    }
  });

  it('gives the life that is asked for, up to 90 days', async () => {
    const { certChain } = await ask(createSigningRequest().csrPem, { validityDuration: 90n * 24n * hour });
    assert.ok(remaining(certChain[0]!) > 89 * 24 * 3_600_000);
    await assert.rejects(
      ask(createSigningRequest().csrPem, { validityDuration: 90n * 24n * hour + 1n }),
      refusedWith(status.INVALID_ARGUMENT, /at most 2160h/),
    );
    await assert.rejects(
      ask(createSigningRequest().csrPem, { validityDuration: 2n ** 63n - 1n }),
      refusedWith(status.INVALID_ARGUMENT, /at most/),
    );
  });

  it('refuses a caller whose token is nobody, before it reads the request', async () => {
    await assert.rejects(ask('nonsense', { token: 'bad' }), refusedWith(status.UNAUTHENTICATED, /token/));
  });

  it('refuses a request that is none, with the reason', async () => {
    await assert.rejects(ask('nonsense'), refusedWith(status.INVALID_ARGUMENT, /not a PEM certificate request/));
  });

  it('tells its own troubles to its log and not to the caller', async () => {
    broken = new Error('secret path /var/x');
    await assert.rejects(ask(createSigningRequest().csrPem), refusedWith(status.INTERNAL, /see its log/));
    assert.match(logged, /secret path/);
  });
});
