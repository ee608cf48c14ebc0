// Which version of HTTP is spoken to whom: Istio's rules.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meshFileOf } from '../../test/harness/objects.js';
import type { ConnectionPool } from '../api/connection-policy.js';
import { portProtocols } from '../api/port-protocol.js';
import { inboundHttp, outboundHttp } from './upstream-http.js';

const meshConfigOf = (text: string) => meshFileOf(`meshConfig: {${text}}\nservices: {a: {command: x}}`).meshConfig;
const plain = meshConfigOf('');
const upgrading = meshConfigOf('h2UpgradePolicy: UPGRADE');
const pool = (http: ConnectionPool['http']): ConnectionPool => ({ http });

describe('the version of HTTP towards a service', () => {
  it('is that of its port', () => {
    assert.deepEqual(
      Object.fromEntries(portProtocols.map((protocol) => [protocol, outboundHttp(plain, protocol, undefined)])),
      {
        http: 'http1',
        http2: 'http2',
        grpc: 'http2',
        'grpc-web': 'http2',
        tcp: 'http1',
        tls: 'http1',
        https: 'http1',
        detect: 'downstream',
      },
    );
  });

  it('is 2 on ports declared http where the mesh upgrades, and not where a rule says no', () => {
    assert.equal(outboundHttp(upgrading, 'http', undefined), 'http2');
    assert.equal(outboundHttp(upgrading, 'http', pool({ h2UpgradePolicy: 'DEFAULT' })), 'http2');
    assert.equal(outboundHttp(upgrading, 'http', pool({ h2UpgradePolicy: 'DO_NOT_UPGRADE' })), 'http1');
    assert.equal(outboundHttp(upgrading, 'detect', undefined), 'downstream');
  });

  it('is 2 where a rule upgrades, on detected ports too', () => {
    for (const protocol of ['http', 'detect', 'grpc'] as const)
      assert.equal(outboundHttp(plain, protocol, pool({ h2UpgradePolicy: 'UPGRADE' })), 'http2');
  });

  it("is the caller's where a rule says so, whatever else it says", () => {
    for (const protocol of ['http', 'http2'] as const)
      assert.equal(
        outboundHttp(upgrading, protocol, pool({ useClientProtocol: true, h2UpgradePolicy: 'UPGRADE' })),
        'downstream',
      );
  });
});

describe('the version of HTTP towards the application', () => {
  it('is that of its port, upgraded only where none is declared', () => {
    assert.equal(inboundHttp('http', pool({ h2UpgradePolicy: 'UPGRADE' })), 'http1');
    assert.equal(inboundHttp('detect', pool({ h2UpgradePolicy: 'UPGRADE' })), 'http2');
    assert.equal(inboundHttp('grpc', undefined), 'http2');
    assert.equal(inboundHttp('detect', undefined), 'downstream');
  });

  it("is the caller's where the service's own rule says so", () => {
    assert.equal(inboundHttp('http', pool({ useClientProtocol: true })), 'downstream');
  });
});
