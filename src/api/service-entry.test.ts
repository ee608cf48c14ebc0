// ServiceEntry and WorkloadEntry: what is taken, and what each refusal says.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { objectOf, refusalsOf } from '../../test/harness/objects.js';
import { fieldsOf } from '../../test/harness/schema-walk.js';
import { serviceEntrySpec } from './service-entry.js';
import { workloadEntrySpec } from './workload-entry.js';

const everything = `hosts: [api.example.com, "*.example.org"]
addresses: [10.0.0.0/8, "2001:db8::1", 240.240.0.7]
ports:
- {number: 80, name: http, protocol: HTTP, targetPort: 8080}
- {number: 443, name: tls, protocol: TLS}
- {number: 9000, name: any}
location: MESH_INTERNAL
resolution: STATIC
exportTo: [., shop]
subjectAltNames: [spiffe://cluster.local/ns/vm/sa/api]
endpoints:
- address: 127.0.0.1
  ports: {http: 8081}
  labels: {version: v1}
  weight: 3
  serviceAccount: api
  locality: eu/a/1
- address: "::1"
`;
const refusals = (spec: string) => refusalsOf('ServiceEntry', spec);
const withPorts = (ports: string, more = 'endpoints: [{address: 10.0.0.1}]') =>
  `hosts: [a.b]\nresolution: STATIC\nports: [${ports}]\n${more}`;
const http = '{number: 80, name: http}';

describe('a ServiceEntry', () => {
  it('may have every field that is supported', () => {
    const { spec } = objectOf('ServiceEntry', everything);
    assert.equal(spec.endpoints?.length, 2);
    assert.ok(objectOf('ServiceEntry', withPorts(http, 'workloadSelector: {labels: {app: a}}')));
  });

  it('has every supported field in the example of this test', () => {
    const missing = fieldsOf(serviceEntrySpec)
      .filter(({ path, refused }) => refused === undefined && !path.startsWith('workloadSelector'))
      .map(({ path }) => /\w+(?=\W*$)/.exec(path)![0])
      .filter((name) => !everything.includes(`${name}:`));
    assert.deepEqual(missing, []);
  });

  it('describes every field for the reference', () => {
    for (const spec of [serviceEntrySpec, workloadEntrySpec])
      assert.deepEqual(
        fieldsOf(spec).filter(({ description }) => description === undefined),
        [],
      );
  });

  it('takes the protocols of Istio in any case', () => {
    for (const protocol of [
      'HTTP',
      'Https',
      'http2',
      'GRPC',
      'grpc-web',
      'TLS',
      'TCP',
      'MONGO',
      'redis',
      'MySQL',
      'UDP',
      '""',
    ])
      assert.ok(objectOf('ServiceEntry', withPorts(`{number: 80, name: p, protocol: ${protocol}}`)), protocol);
  });
});

describe('a refused ServiceEntry', () => {
  it('finds its endpoints some other way than STATIC, which is the default', () => {
    const said = 'is not supported yet; use STATIC with endpoints that are IP addresses';
    for (const resolution of ['NONE', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'])
      assert.deepEqual(refusals(`hosts: [a.b]\nresolution: ${resolution}\nports: [${http}]`), [
        `LAT0002 2 resolution: ${resolution} ${said}`,
      ]);
    assert.deepEqual(refusals(`hosts: [a.b]\nports: [${http}]`), [`LAT0002 0 resolution: NONE, the default, ${said}`]);
    assert.match(refusals('hosts: [a.b]\nresolution: STATC')[0]!, /resolution: must be one of NONE, STATIC, DNS/);
  });

  it('has no endpoints, or names and selects them', () => {
    assert.deepEqual(refusals(`hosts: [a.b]\nresolution: STATIC\nports: [${http}]`), [
      'IST0106 0 : needs endpoints or a workloadSelector, as resolution is STATIC',
    ]);
    assert.deepEqual(
      refusals(withPorts(http, 'endpoints: [{address: 10.0.0.1}]\nworkloadSelector: {labels: {a: b}}')),
      ['IST0106 5 workloadSelector: cannot stand beside endpoints'],
    );
  });

  it('has no port, one twice, or one that cannot be carried', () => {
    assert.deepEqual(refusals('hosts: [a.b]\nresolution: STATIC\nendpoints: [{address: 10.0.0.1}]'), [
      'IST0106 0 ports: must name a port',
    ]);
    assert.deepEqual(refusals(withPorts(`${http}, ${http}`)), [
      'IST0106 3 ports[1].number: names port 80 twice',
      'IST0106 3 ports[1].name: names http twice',
    ]);
    assert.match(refusals(withPorts('{number: 53, name: a, protocol: QUIC}'))[0]!, /protocol: must be one of HTTP, /);
    assert.match(refusals(withPorts('{number: 80}'))[0]!, /ports\[0\]\.name: is missing/);
  });

  it('has a host that is everything, or one twice', () => {
    const hosts = (list: string) => refusals(withPorts(http).replace('[a.b]', list));
    assert.deepEqual(hosts("['*']"), ['IST0106 1 hosts[0]: must be a host name, or `*.` followed by one']);
    assert.deepEqual(hosts('[a.b, A.b]'), ['IST0106 1 hosts[1]: names A.b twice']);
    assert.match(hosts('[]')[0]!, /hosts: must name a host/);
    assert.match(hosts('["http://a.b"]')[0]!, /hosts\[0\]: must be a host name/);
  });

  it('has an address that is none', () => {
    const addresses = (address: string) =>
      refusals(withPorts(http, `endpoints: [{address: 10.0.0.1}]\naddresses: [${address}]`));
    for (const address of ['a.b', '10.0.0.0/33', '"::/129"', '10.0.0.0/8/8', '10.0.0'])
      assert.match(addresses(address)[0]!, /addresses\[0\]: must be an IP address/, address);
  });

  it('gives an endpoint a port that the service does not have', () => {
    assert.deepEqual(refusals(withPorts(http, 'endpoints: [{address: 10.0.0.1, ports: {web: 80}}]')), [
      'IST0106 4 endpoints[0].ports.web: is no port of the object, which has http',
    ]);
  });
});

describe('a refused WorkloadEntry', () => {
  const said = (spec: string) => refusalsOf('WorkloadEntry', spec);
  it('has an address that is no IP address', () => {
    assert.deepEqual(said('address: api.example.com'), [
      'IST0106 1 address: must be an IP address; ports stand in `ports`',
    ]);
    assert.deepEqual(said('address: 10.0.0.1:80'), [
      'IST0106 1 address: must be an IP address; ports stand in `ports`',
    ]);
    assert.deepEqual(said('address: unix:///run/a.sock'), [
      'LAT0002 1 address: is not supported yet: unix sockets; give an IP address',
    ]);
    for (const all of ['0.0.0.0', '::', '0:0:0:0:0:0:0:0', '::0.0.0.0'])
      assert.deepEqual(said(`address: "${all}"`), [
        'IST0106 1 address: stands for all addresses of a machine; give one of them',
      ]);
    assert.ok(objectOf('WorkloadEntry', 'address: "::1"'));
    assert.deepEqual(said('labels: {}'), ['IST0106 0 address: is missing; it must be a string']);
  });

  it('is in another network', () => {
    assert.deepEqual(said('address: 10.0.0.1\nnetwork: vm'), [
      'LAT0002 2 network: is not supported yet; leave it out: endpoints must be reachable directly',
    ]);
  });

  it('has a weight that is none, or an account that is no name', () => {
    assert.match(said('address: 10.0.0.1\nweight: -1')[0]!, /weight: must not be negative/);
    assert.match(said('address: 10.0.0.1\nserviceAccount: a/b')[0]!, /serviceAccount: must be the name/);
  });
});
