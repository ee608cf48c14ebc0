// The version of HTTP towards endpoints and the limits of HTTP/2, as they are read from clusters.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { typeRegistry } from '../../../test/harness/resources.js';
import { ClusterSchema, Http2ProtocolOptionsSchema } from '../../xds/messages.js';
import { defaultHttp2Limits } from '../http/http2/limits.js';
import { httpOptionsKey, readConnectionConfig } from './cluster-limits.js';
import { readHttp2Limits } from './http2-config.js';

const readCluster = (fields: JsonObject) =>
  readConnectionConfig(fromJson(ClusterSchema, { name: 'c', ...fields }, { registry: typeRegistry }));
const read = (options: JsonObject) => {
  const { httpProtocol, http2 } = readCluster({
    typedExtensionProtocolOptions: {
      [httpOptionsKey]: { '@type': `type.googleapis.com/${httpOptionsKey}`, ...options },
    },
  });
  return { httpProtocol, http2 };
};
const readLimits = (options: JsonObject) => readHttp2Limits(fromJson(Http2ProtocolOptionsSchema, options));

describe('the version of HTTP towards endpoints', () => {
  it('is 1.1 where nothing is said', () => {
    assert.equal(readCluster({}).httpProtocol, 'http1');
    assert.equal(read({}).httpProtocol, 'http1');
    assert.equal(read({ explicitHttpConfig: { httpProtocolOptions: {} } }).httpProtocol, 'http1');
  });

  it('is 2 where it is said, with its limits', () => {
    assert.deepEqual(read({ explicitHttpConfig: { http2ProtocolOptions: { maxConcurrentStreams: 7 } } }), {
      httpProtocol: 'http2',
      http2: { ...defaultHttp2Limits, maxConcurrentStreams: 7 },
    });
  });

  it("is the caller's where that is said, with limits too", () => {
    const http2ProtocolOptions = { initialStreamWindowSize: 65535, initialConnectionWindowSize: 70000 };
    assert.deepEqual(read({ useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions } }), {
      httpProtocol: 'downstream',
      http2: { maxConcurrentStreams: 100, streamWindowBytes: 65535, connectionWindowBytes: 70000 },
    });
    assert.equal(read({ useDownstreamProtocolConfig: {} }).http2, defaultHttp2Limits);
  });

  it('is refused as 3, as what a handshake decides, and where clusters said it formerly', () => {
    assert.throws(() => read({ explicitHttpConfig: { http3ProtocolOptions: {} } }), /HTTP\/3/);
    assert.throws(() => read({ useDownstreamProtocolConfig: { http3ProtocolOptions: {} } }), /HTTP\/3/);
    assert.throws(() => read({ autoConfig: {} }), /handshake/);
    assert.throws(() => readCluster({ http2ProtocolOptions: {} }), /http2_protocol_options of a cluster/);
  });
});

describe('limits of HTTP/2', () => {
  it('are ours where none are given', () => {
    assert.equal(readHttp2Limits(undefined), defaultHttp2Limits);
    assert.deepEqual(readLimits({ allowConnect: true }), defaultHttp2Limits);
  });

  it('are refused by name where they are others than those that are kept', () => {
    for (const [options, name] of [
      [{ hpackTableSize: 0 }, 'hpack_table_size'],
      [{ allowMetadata: true }, 'allow_metadata'],
      [{ maxOutboundFrames: 1 }, 'max_outbound_frames'],
      [{ connectionKeepalive: { interval: '1s', timeout: '1s' } }, 'connection_keepalive'],
      [{ customSettingsParameters: [{ identifier: 1, value: 1 }] }, 'custom_settings_parameters'],
    ] as const)
      assert.throws(() => readLimits(options as JsonObject), new RegExp(`${name} of HTTP/2 is not supported`));
  });
});
