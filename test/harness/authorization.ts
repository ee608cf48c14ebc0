// Asks policies as a whole: what users write is compiled, sent as bytes, read by the proxy and asked.
import assert from 'node:assert/strict';
import { create, createRegistry, fromBinary, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import { compileWorkload } from '../../src/compile/compile.js';
import type { Denial, Policies } from '../../src/proxy/authorization/policies.js';
import { readHttpPolicies, readNetworkPolicies } from '../../src/proxy/config/policy-config.js';
import type { RoutedRequest } from '../../src/proxy/http/matchers.js';
import type { ConnectionInfo } from '../../src/proxy/listener/connection-info.js';
import { unknownParty } from '../../src/telemetry/istio-labels.js';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  HttpRbacSchema,
  ListenerSchema,
  UriTemplateMatchConfigSchema,
} from '../../src/xds/messages.js';
import { snapshotOf, workloadOf } from './snapshots.js';

/** Who asks for what; over bytes there is no method, path, host or header. */
export interface Asked {
  /** `namespace/service account`; absent: without a certificate. */
  readonly from?: string;
  readonly ip?: string;
  readonly sni?: string;
  /** Port of the workload; default 80, which is HTTP. */
  readonly port?: number;
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: readonly string[];
}

export const meshOfPolicies = `
meshConfig: { rootNamespace: root }
services:
  api:
    namespace: shop
    ports: [{ port: 80, protocol: http }, { port: 81, protocol: tcp }, { port: 82 }]
    command: api
    labels: { team: a }
`;

export function connectionOf({ from, ip = '10.0.0.9', sni }: Asked, localPort: number): ConnectionInfo {
  const principal = from === undefined ? 'unknown' : `spiffe://cluster.local/ns/${from.replace('/', '/sa/')}`;
  return {
    localAddress: `127.0.0.1:${localPort}`,
    remoteAddress: `${ip}:40000`,
    serverName: sni,
    security: from === undefined ? 'none' : 'mutual_tls',
    source: { ...unknownParty, principal },
    forwardedClientCert: undefined,
    expiresAtMs: Infinity,
    protocol: undefined,
    reset: () => undefined,
  };
}

export function requestOf({ method = 'GET', path = '/', host = 'api', headers = [] }: Asked): RoutedRequest {
  return { method, path, authority: host, scheme: 'http', headers: [...headers] };
}

/** Answers for the workload of the mesh under the objects: `allowed`, or the policy that denies (`none`: no ALLOW matched). */
export async function policyJudge(
  objects: string,
  { mesh = meshOfPolicies, workload = 'shop/api-0' } = {},
): Promise<(asked: Asked) => string> {
  const snapshot = await snapshotOf(mesh, objects);
  const asWorkload = workloadOf(snapshot, workload);
  const { listener: listeners } = compileWorkload(snapshot, asWorkload).resources;
  return (asked) => {
    const place = asWorkload.ports.find(({ port }) => port === (asked.port ?? 80))!;
    const bytes = listeners.get(`${place.inbound.address}_${place.inbound.port}`)!.bytes;
    const { filterChains } = fromBinary(ListenerSchema, bytes);
    const isHttp = place.port === 80;
    const connection = connectionOf(asked, place.inbound.port);
    const denials = filterChains.map(({ filters }): Denial | undefined => {
      const last = filters.at(-1)!.configType;
      const manager = last.case === 'typedConfig' ? anyUnpack(last.value, HttpConnectionManagerSchema) : undefined;
      assert.equal(manager !== undefined, isHttp);
      const policies =
        manager === undefined ? readNetworkPolicies(filters.slice(0, -1)) : readHttpPolicies(manager.httpFilters);
      return policies?.findDenial(connection, manager === undefined ? undefined : requestOf(asked));
    });
    const answers = new Set(denials.map((denial) => denial?.policy ?? 'allowed'));
    assert.equal(answers.size, 1, 'all chains of a port have the same policies');
    return [...answers][0]!;
  };
}

/** An HTTP filter from Envoy's own JSON. */
export function httpRbac(rbac: JsonObject): HttpConnectionManager['httpFilters'][number] {
  const message = fromJson(HttpRbacSchema, rbac, { registry: createRegistry(UriTemplateMatchConfigSchema) });
  const [filter] = create(HttpConnectionManagerSchema, {
    httpFilters: [{ name: 'rbac', configType: { case: 'typedConfig', value: anyPack(HttpRbacSchema, message) } }],
  }).httpFilters;
  return filter!;
}

/** Policies from Envoy's own JSON. */
export function policiesOf(...filters: JsonObject[]): Policies | undefined {
  return readHttpPolicies(filters.map((rules) => httpRbac({ rules })));
}
