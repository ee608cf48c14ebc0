// mesh.yaml: what is taken, with which defaults, and what each refusal says.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { meshFileOf, meshFileRefusalsOf } from '../../test/harness/objects.js';
import { fieldsOf } from '../../test/harness/schema-walk.js';
import { findUpstream, meshFileSchema, parseAddress } from './mesh-file.js';

const services = (text: string) => `services:\n${text.replace(/^(?=.)/gm, '  ')}`;
const refusals = (text: string) => meshFileRefusalsOf(services(text)).map((said) => said.replace('services.', ''));

const everything = `
meshConfig:
  connectTimeout: 5s
  tcpKeepalive: {time: 60s}
  defaultTrafficPolicy:
    connectionPool:
      tcp: {maxConnections: 1, connectTimeout: 1s, tcpKeepalive: {time: 1s}, maxConnectionDuration: 1s, idleTimeout: 1s}
      http: {http1MaxPendingRequests: 1, http2MaxRequests: 1, maxRequestsPerConnection: 1, maxRetries: 1, idleTimeout: 1s, maxConcurrentStreams: 1, useClientProtocol: true, h2UpgradePolicy: UPGRADE}
    outlierDetection:
      consecutive5xxErrors: 1
      consecutiveGatewayErrors: 1
      splitExternalLocalOriginErrors: true
      consecutiveLocalOriginFailures: 1
      interval: 1s
      baseEjectionTime: 1s
      maxEjectionPercent: 1
      minHealthPercent: 1
  h2UpgradePolicy: UPGRADE
  trustDomain: example.org
  rootNamespace: mesh
  accessLogFile: log/access.log
  accessLogEncoding: JSON
  accessLogFormat: '{"path": "%REQ(:PATH)%", "code": "%RESPONSE_CODE%"}'
  pathNormalization: {normalization: MERGE_SLASHES}
  enableTracing: true
  defaultConfig:
    tracing:
      zipkin: {address: "127.0.0.1:9411"}
      sampling: 50
      maxPathTagLength: 128
      enableIstioTags: false
      customTags:
        a: {literal: {value: x}}
        b: {header: {name: x-b, defaultValue: y}}
        c: {environment: {name: C, defaultValue: z}}
  defaultHttpRetryPolicy: {attempts: 1, perTryTimeout: 1s, retryOn: 5xx, retryRemoteLocalities: false, retryIgnorePreviousHosts: true, backoff: 5ms}
certificates: {workloadLifetime: 5s}
control: {httpPort: 0, xdsPort: 15010, xdsTlsPort: 15012}
services:
  reviews:
    namespace: shop
    ports:
    - {name: web, port: 9080, protocol: http}
    - {port: 9090}
    serviceAccount: Bookinfo.Reviews
    labels: {team: a}
    versions:
      v1: {command: "node reviews.mjs", replicas: 2, env: {COLOR: red, SIZE: 3, FAST: true}}
      v2.1: {command: [node, reviews.mjs, --new]}
    primary: v1
    proxy: lateen
  db: {port: 5432, protocol: tcp, address: "[::1]:5432", inboundPort: 9001}
  client:
    command: node client.mjs
    outboundPort: 8001
    upstreams: {db: 5433, reviews.shop: 5434, "reviews.shop.svc.cluster.local:9090": 5435}
`;

describe('mesh.yaml', () => {
  it('may have every field that is supported', () => {
    const mesh = meshFileOf(everything);
    assert.deepEqual(Object.keys(mesh.services), ['reviews', 'db', 'client']);
    assert.deepEqual(mesh.services['reviews']?.versions?.['v1']?.env, { COLOR: 'red', SIZE: 3, FAST: true });
  });

  it('has every supported field in the example of this test', () => {
    const missing = fieldsOf(meshFileSchema)
      .filter(({ refused }) => refused === undefined)
      .map(({ path }) => /\w+(?=\W*$)/.exec(path)![0])
      .filter((name) => !everything.includes(`${name}:`));
    assert.deepEqual(missing, []);
  });

  it('describes every field for the reference', () => {
    assert.deepEqual(
      fieldsOf(meshFileSchema).filter(({ description }) => description === undefined),
      [],
    );
  });

  it('has defaults for everything but services', () => {
    assert.deepEqual(meshFileOf(services('a: {command: x}')), {
      meshConfig: {
        trustDomain: 'cluster.local',
        rootNamespace: 'istio-system',
        accessLogFile: '',
        accessLogEncoding: 'TEXT',
        accessLogFormat: '',
        pathNormalization: { normalization: 'DEFAULT' },
        enableTracing: true,
        connectTimeout: '10s',
        h2UpgradePolicy: 'DO_NOT_UPGRADE',
      },
      certificates: { workloadLifetime: '24h' },
      control: { xdsPort: 0, xdsTlsPort: 0 },
      services: { a: { command: 'x' } },
    });
  });
});

describe('what mesh.yaml cannot have yet', () => {
  for (const { path, refused } of fieldsOf(meshFileSchema)) {
    if (refused === undefined) continue;
    it(`is ${path}, which says so with its line`, () => {
      const steps = path.replace('{}', '.a').split('.');
      const lines = steps.map((step, i) => `${'  '.repeat(i)}${step}:${i === steps.length - 1 ? ' {}' : ''}`);
      const line = lines.length;
      if (steps[0] === 'services') lines.push('    command: x');
      else lines.push('services: {a: {command: x}}');
      const [said, ...more] = meshFileRefusalsOf(lines.join('\n'));
      assert.deepEqual(more, []);
      assert.ok(said!.startsWith(`LAT0002 ${line} ${path.replace('{}', '.a')}: is not supported yet`), said);
    });
  }

  it('is a proxy other than its own', () => {
    assert.deepEqual(refusals('a:\n  command: x\n  proxy: envoy'), [
      'LAT0002 4 a.proxy: `proxy: envoy` is not supported yet; leave it out',
    ]);
    assert.deepEqual(refusals('a: {command: x, proxy: nginx}'), ['LAT0006 2 a.proxy: must be one of lateen, envoy']);
  });
});

describe('a refused mesh.yaml', () => {
  it('is empty, no map, no YAML, or two documents', () => {
    assert.deepEqual(meshFileRefusalsOf(''), ['LAT0006 1 : is empty; it needs `services`']);
    assert.deepEqual(meshFileRefusalsOf('# soon\n'), ['LAT0006 1 : is empty; it needs `services`']);
    assert.deepEqual(meshFileRefusalsOf('- a'), ['LAT0006 1 : must be an object, not an array']);
    assert.match(meshFileRefusalsOf('a: [')[0]!, /^LAT0003 1 : cannot be read as YAML: /);
    assert.deepEqual(meshFileRefusalsOf('services: {a: {command: x}}\n---\nkind: VirtualService\n'), [
      'LAT0006 3 : holds a second document; put objects into files of their own',
    ]);
  });

  it('has no service', () => {
    assert.deepEqual(meshFileRefusalsOf('control: {}'), ['LAT0006 1 services: is missing; it must be a map']);
    assert.deepEqual(meshFileRefusalsOf('control: {}\nservices: {}'), ['LAT0006 2 services: must name a service']);
    assert.deepEqual(meshFileRefusalsOf('services:'), ['LAT0006 1 services: must be a map, not empty']);
  });

  it('has fields that do not exist, with a suggestion', () => {
    assert.deepEqual(meshFileRefusalsOf('services:\n  a: {command: x}\nservice: {}'), [
      'LAT0006 3 service: is not a known field; did you mean services?',
    ]);
    assert.deepEqual(refusals('a:\n  command: x\n  namspace: b'), [
      'LAT0006 4 a.namspace: is not a known field; did you mean namespace?',
    ]);
    assert.deepEqual(refusals('a:\n  versions:\n    v1:\n      comand: x').slice(0, 1), [
      'LAT0006 5 a.versions.v1.comand: is not a known field; did you mean command?',
    ]);
  });

  it('names a service, version, namespace, account or variable as none can be called', () => {
    for (const name of ['Reviews', 'a_b', 'a.b', '-a', 'a'.repeat(64), ''])
      assert.match(
        refusals(`"${name}": {command: x}`)[0]!,
        /must be a name of lower-case letters, digits and dashes, at most 63 long/,
        name,
      );
    assert.match(
      refusals('a: {versions: {V1: {command: x}}}')[0]!,
      /a\.versions\.V1: must be a name of lower-case letters/,
    );
    assert.match(refusals('a: {command: x, namespace: Shop}')[0]!, /a\.namespace: must be a namespace/);
    assert.match(
      refusals('a: {command: x, serviceAccount: a/b}')[0]!,
      /a\.serviceAccount: must be the name of a service account/,
    );
    assert.match(refusals('a: {command: x, env: {1A: b}}')[0]!, /must be the name of an environment variable/);
    assert.match(
      refusals('a: {command: x, env: {A: [b]}}')[0]!,
      /a\.env\.A: must be a text, a number or true or false/,
    );
  });

  it('does not say what runs', () => {
    assert.deepEqual(refusals('a: {}'), [
      'LAT0006 2 a: needs a command to start, or the address of something that runs already',
    ]);
    assert.deepEqual(refusals('a: {versions: {}}'), ['LAT0006 2 a.versions: must name a version']);
    assert.deepEqual(refusals('a: {port: 80, command: x, address: "127.0.0.1:1"}'), [
      'LAT0006 2 a: has command and address; only one is allowed',
    ]);
    assert.deepEqual(refusals('a: {command: x, versions: {v1: {command: y}}}'), [
      'LAT0006 2 a.command: cannot stand beside versions; write it under each version',
    ]);
    assert.deepEqual(refusals('a: {command: []}'), ['LAT0006 2 a.command: must name a program']);
  });

  it('has replicas or variables of what it does not start', () => {
    assert.deepEqual(refusals('a: {port: 80, address: "127.0.0.1:1", replicas: 2, env: {}}'), [
      'LAT0006 2 a.replicas: cannot stand beside address',
      'LAT0006 2 a.env: cannot stand beside address',
    ]);
  });

  it('has addresses that are none', () => {
    for (const address of [
      '9082',
      'example.com:80',
      '127.0.0.1',
      '127.0.0.1:0',
      '127.0.0.1:65536',
      '::1:80',
      '[::1]',
      '300.0.0.1:80',
      '[127]:80',
    ])
      assert.match(refusals(`a: {port: 80, address: "${address}"}`)[0]!, /must be an IP address and a port/, address);
  });

  it('has an address that no port leads to', () => {
    assert.deepEqual(refusals('a: {address: "127.0.0.1:1"}'), [
      'LAT0006 2 a.address: needs a port under which the service is called',
    ]);
    assert.deepEqual(refusals('a: {ports: [{port: 1}, {port: 2}], address: "127.0.0.1:1"}'), [
      'LAT0006 2 a.ports: can be only one where an address is given',
    ]);
  });

  it('has ports that contradict each other', () => {
    assert.deepEqual(refusals('a: {command: x, port: 80, ports: [{port: 81}]}'), [
      'LAT0006 2 a.ports: cannot stand beside port',
    ]);
    assert.deepEqual(refusals('a: {command: x, protocol: http}'), [
      'LAT0006 2 a.protocol: needs port; with `ports` it stands beside each',
    ]);
    assert.deepEqual(refusals('a: {command: x, ports: []}'), ['LAT0006 2 a.ports: must name a port']);
    assert.deepEqual(refusals('a:\n  command: x\n  ports:\n  - {port: 80, name: b}\n  - {port: 80, name: b}'), [
      'LAT0006 6 a.ports[1].port: names port 80 twice',
      'LAT0006 6 a.ports[1].name: names b twice',
    ]);
    assert.deepEqual(refusals('a: {command: x, inboundPort: 9000}'), [
      'LAT0006 2 a.inboundPort: needs a port under which the service is called',
    ]);
  });

  it('fixes one port for several instances', () => {
    const said = 'is one port and cannot serve several instances; leave it out, or keep one version without replicas';
    assert.deepEqual(refusals('a: {command: x, port: 80, replicas: 2, inboundPort: 9000, outboundPort: 9001}'), [
      `LAT0006 2 a.inboundPort: ${said}`,
      `LAT0006 2 a.outboundPort: ${said}`,
    ]);
    assert.deepEqual(refusals('a: {port: 80, versions: {v1: {command: x}, v2: {command: x}}, upstreams: {a: 9000}}'), [
      `LAT0006 2 a.upstreams: ${said}`,
    ]);
  });

  it('fixes one port twice', () => {
    assert.deepEqual(
      meshFileRefusalsOf(
        'control: {xdsPort: 9000}\nservices:\n  a: {command: x, port: 80, inboundPort: 9001, outboundPort: 9001}\n  b:\n    command: y\n    upstreams: {a: 9000}',
      ),
      [
        'LAT0006 3 services.a.outboundPort: 9001 is already used by services.a.inboundPort',
        'LAT0006 6 services.b.upstreams.a: 9000 is already used by control.xdsPort',
      ],
    );
  });

  it('has a primary that is no version of it', () => {
    for (const primary of ['v2', 'constructor'])
      assert.deepEqual(refusals(`a: {versions: {v1: {command: x}}, primary: ${primary}}`), [
        `LAT0006 2 a.primary: names ${primary}, which is not among versions`,
      ]);
    assert.deepEqual(refusals('a: {command: x, primary: v1}'), [
      'LAT0006 2 a.primary: names v1, which is not among versions',
    ]);
  });

  it('has upstreams that lead nowhere', () => {
    for (const key of [
      'nowhere',
      'b',
      'a.shop',
      'a:81',
      'a.default:81',
      'a.default.svc.cluster.local:81',
      'a.default.svc.example.org',
      'constructor',
      '__proto__x',
    ])
      assert.match(
        refusals(`a: {command: x, port: 80}\nb: {command: x, upstreams: {"${key}": 9000}}`)[0]!,
        /is no service of this file with a port; write name, name\.namespace, either with :port, or host:port of a ServiceEntry$/,
        key,
      );
  });

  it('has upstreams to hosts of ServiceEntries, with their port', () => {
    const upstreams = (key: string) => `a: {command: x, port: 80}\nb: {command: x, upstreams: {"${key}": 9000}}`;
    for (const key of ['api.example.com:443', 'b.default.svc.cluster.local:80'])
      assert.ok(meshFileOf(services(upstreams(key))), key);
    for (const key of ['api.example.com', 'api.example.com:0', 'api.example.com:65536', '*.example.com:80', 'api:80'])
      assert.match(refusals(upstreams(key))[0]!, /or host:port of a ServiceEntry$/, key);
  });

  it('plans two workloads of one name in one namespace', () => {
    assert.deepEqual(refusals('a-b: {command: x}\na:\n  versions:\n    b: {command: y}'), [
      'LAT0006 5 a.versions.b: is a workload a-b, which services.a-b is too; rename one',
    ]);
    assert.ok(meshFileOf(services('a-b: {command: x}\na: {namespace: other, versions: {b: {command: y}}}')));
  });

  it('has certificates of less than 5 s or more than 90 days', () => {
    for (const [lifetime, said] of [
      ['4999ms', 'must be at least 5s'],
      ['2161h', 'must be at most 2160h'],
    ])
      assert.deepEqual(
        meshFileRefusalsOf(`certificates: {workloadLifetime: ${lifetime}}\n${services('a: {command: x}')}`),
        [`LAT0006 1 certificates.workloadLifetime: ${said}`],
      );
  });
});

describe('MeshConfig', () => {
  const refused = (line: string) => meshFileRefusalsOf(`meshConfig:\n  ${line}\n${services('a: {command: x}')}`);

  it('has a trust domain that SPIFFE allows', () => {
    for (const domain of ['Example', 'a b', 'a/b', '', '-a', 'a'.repeat(256)])
      assert.equal(refused(`trustDomain: "${domain}"`).length, 1, domain);
    assert.ok(meshFileOf(`meshConfig: {trustDomain: a_b.example-1}\n${services('a: {command: x}')}`));
  });

  it('has formats that can be written', () => {
    assert.match(
      refused("accessLogFormat: '%NOPE%'")[0]!,
      /^LAT0006 2 meshConfig\.accessLogFormat: uses %NOPE%, which is not supported yet/,
    );
    const json = (format: string) =>
      refused(`accessLogFormat: '${format}'\n  accessLogEncoding: JSON`).map((said) => said.replace(/^.*?: /, ''));
    assert.deepEqual(json('text'), ['must be an object in JSON, because accessLogEncoding is JSON']);
    assert.deepEqual(json('["a"]'), ['must be an object in JSON, because accessLogEncoding is JSON']);
    assert.deepEqual(json('{"a": {"b": "c"}}'), ['has a field a that is not a text']);
    assert.match(json('{"a": "%NOPE%"}')[0]!, /^in its field a uses %NOPE%/);
  });
});

describe('an address', () => {
  it('is an IP and a port', () => {
    assert.deepEqual(parseAddress('127.0.0.1:80'), { address: '127.0.0.1', port: 80 });
    assert.deepEqual(parseAddress('[::1]:65535'), { address: '::1', port: 65_535 });
    assert.deepEqual(parseAddress('localhost:1'), { address: '127.0.0.1', port: 1 });
  });
});

describe('an upstream', () => {
  const mesh = meshFileOf(
    services('a: {command: x, namespace: shop, ports: [{port: 80}, {port: 81}]}\nb: {command: y, port: 90}'),
  );
  const cases: [string, { service: string; port: number } | undefined][] = [
    ['a', { service: 'a', port: 80 }],
    ['a:81', { service: 'a', port: 81 }],
    ['a.shop', { service: 'a', port: 80 }],
    ['a.shop.svc:81', { service: 'a', port: 81 }],
    ['a.shop.svc.cluster.local', { service: 'a', port: 80 }],
    ['b.default', { service: 'b', port: 90 }],
    ['a.default', undefined],
    ['a:82', undefined],
    ['c', undefined],
  ];
  for (const [key, found] of cases)
    it(`${key} is ${found === undefined ? 'nothing' : `port ${found.port} of ${found.service}`}`, () =>
      assert.deepEqual(findUpstream(mesh.services, key), found));
});
