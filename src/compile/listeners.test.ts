// Every chain of an inbound listener chooses in a handshake only what it reads.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { snapshotOf, workloadOf } from '../../test/harness/snapshots.js';
import { portProtocols } from '../api/port-protocol.js';
import { findChain } from '../proxy/listener/filter-chain.js';
import { DownstreamTlsContextSchema, ListenerSchema, TrafficDirection } from '../xds/messages.js';
import { compileWorkload } from './compile.js';
import { offeredAlpn } from './tls-contexts.js';

interface Chain {
  readonly filter: 'HTTP' | 'bytes';
  readonly alpn: readonly string[];
}

/** The chain that takes a client which offers these names, and what is chosen of them. */
async function take(
  protocol: string,
  mode: string,
  offered: readonly string[],
): Promise<{ filter: string; chosen: string | undefined } | undefined> {
  const policy = `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: p, namespace: istio-system }\nspec: { mtls: { mode: ${mode} } }\n`;
  const snapshot = await snapshotOf(`services: { a: { port: 80, protocol: ${protocol}, command: x } }`, policy);
  const { listener } = compileWorkload(snapshot, workloadOf(snapshot, 'a-0')).resources;
  const inbound = [...listener.values()]
    .map(({ bytes }) => fromBinary(ListenerSchema, bytes))
    .find(({ trafficDirection }) => trafficDirection === TrafficDirection.INBOUND)!;
  const known = new Map<string, Chain>();
  const chains = inbound.filterChains.map(({ name, filterChainMatch, filters, transportSocket }) => {
    const context = transportSocket && anyUnpack(transportSocket.configType.value!, DownstreamTlsContextSchema);
    const isHttp = filters.at(-1)!.name.endsWith('http_connection_manager');
    known.set(name, { filter: isHttp ? 'HTTP' : 'bytes', alpn: context?.commonTlsContext?.alpnProtocols ?? [] });
    const { transportProtocol = '', applicationProtocols = [], serverNames = [] } = filterChainMatch ?? {};
    return {
      key: name,
      match: { transportProtocol, applicationProtocols, serverNames },
      tls: undefined,
      filter: null!,
    };
  });
  const inspection = { transportProtocol: 'tls' as const, serverName: undefined, applicationProtocols: offered };
  const found = known.get(findChain(chains, inspection)?.key ?? '');
  return found && { filter: found.filter, chosen: found.alpn.find((name) => offered.includes(name)) };
}

describe('a caller of the mesh', () => {
  for (const mode of ['PERMISSIVE', 'STRICT'])
    for (const protocol of portProtocols)
      it(`is served as it asks on a port of ${protocol}, ${mode}, where that is possible`, async () => {
        const isBytes = ['tcp', 'tls', 'https'].includes(protocol);
        for (const names of [offeredAlpn.http10, offeredAlpn.http11, offeredAlpn.http2])
          assert.deepEqual(
            await take(protocol, mode, names),
            isBytes ? { filter: 'bytes', chosen: 'istio' } : { filter: 'HTTP', chosen: 'lateen-h2' },
          );
        assert.deepEqual(
          await take(protocol, mode, offeredAlpn.bytes),
          isBytes || protocol === 'detect'
            ? { filter: 'bytes', chosen: 'lateen-tcp' }
            : { filter: 'HTTP', chosen: 'lateen-tcp' },
        );
      });

  it('of Istio is served by what it offers first', async () => {
    const detected = (...names: string[]) => take('detect', 'STRICT', names);
    assert.deepEqual(await detected('istio-http/1.1', 'istio', 'http/1.1'), {
      filter: 'HTTP',
      chosen: 'istio-http/1.1',
    });
    assert.deepEqual(await detected('istio-h2', 'istio', 'h2'), { filter: 'HTTP', chosen: 'istio-h2' });
    assert.deepEqual(await detected('istio-peer-exchange', 'istio'), { filter: 'bytes', chosen: 'istio' });
  });
});

describe('a caller that knows no mesh', () => {
  it('is read as HTTP where nothing else is expected, and as bytes where nothing is declared', async () => {
    assert.deepEqual(await take('http', 'STRICT', ['h2', 'http/1.1']), { filter: 'HTTP', chosen: 'h2' });
    assert.deepEqual(await take('detect', 'STRICT', ['h2', 'http/1.1']), { filter: 'bytes', chosen: undefined });
  });

  it('is not answered for in the place of a TLS of the application', async () => {
    assert.equal(await take('http', 'PERMISSIVE', ['h2', 'http/1.1']), undefined);
    assert.deepEqual(await take('detect', 'PERMISSIVE', ['h2', 'http/1.1']), { filter: 'bytes', chosen: undefined });
  });
});
