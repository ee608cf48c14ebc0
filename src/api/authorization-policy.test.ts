// AuthorizationPolicy: what is taken, and what each refusal says.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { objectOf, refusalsOf } from '../../test/harness/objects.js';
import { fieldsOf } from '../../test/harness/schema-walk.js';
import { authorizationPolicySpec } from './authorization-policy.js';
import { validateFile } from './validate.js';

const refusals = (spec: string) => refusalsOf('AuthorizationPolicy', spec);
const source = (text: string) => refusals(`rules: [{from: [{source: {${text}}}]}]`);
const operation = (text: string) => refusals(`rules: [{to: [{operation: {${text}}}]}]`);
const condition = (text: string) => refusals(`rules: [{when: [{${text}}]}]`);
/** The messages alone. */
const messages = (list: string[]) => list.map((said) => said.replace(/^\S+ \d+ .*?: /, ''));

describe('an AuthorizationPolicy', () => {
  it('may have every field', () => {
    const spec = {
      selector: { matchLabels: { app: 'a' } },
      action: 'DENY',
      rules: [
        {
          from: [
            {
              source: {
                principals: ['cluster.local/ns/a/sa/b', 'a*', '*b', '*'],
                notPrincipals: ['spiffe://cluster.local/ns/a/sa/c'],
                namespaces: ['a', 'a-*', '*'],
                notNamespaces: ['*-b'],
                ipBlocks: ['10.0.0.1', '10.0.0.0/8', '::1', 'fe80::/10'],
                notIpBlocks: ['0.0.0.0/0'],
                remoteIpBlocks: ['10.0.0.0/8'],
                notRemoteIpBlocks: ['10.1.0.0/16'],
              },
            },
            { source: { serviceAccounts: ['a', 'ns/a.b'], notServiceAccounts: ['c'] } },
          ],
          to: [
            {
              operation: {
                hosts: ['a.example', '*.example', 'a:80'],
                notHosts: ['b.*'],
                ports: ['80', '65535'],
                notPorts: ['81'],
                methods: ['GET', 'P*'],
                notMethods: ['*T'],
                paths: ['/a', '/a*', '*a', '*', '/a/{*}/b', '/{**}', '/{*}/{**}/x-y.z'],
                notPaths: ['/c'],
              },
            },
          ],
          when: [
            { key: 'request.headers[X-A]', values: ['any * thing', '*/*'] },
            { key: 'request.headers[:authority]', notValues: ['a'] },
            { key: 'source.ip', values: ['10.0.0.0/8'] },
            { key: 'remote.ip', notValues: ['::1'] },
            { key: 'source.namespace', values: ['a*'] },
            { key: 'source.principal', values: ['*'] },
            { key: 'source.serviceAccount', values: ['a/b'] },
            { key: 'destination.ip', values: ['::1/128'] },
            { key: 'destination.port', values: ['80'] },
            { key: 'connection.sni', notValues: ['*.example'] },
          ],
        },
        {},
      ],
    };
    assert.deepEqual(objectOf('AuthorizationPolicy', JSON.stringify(spec)).spec, spec);
  });

  it('may say nothing', () => assert.deepEqual(objectOf('AuthorizationPolicy', '{}').spec, {}));

  it('describes every field for the reference', () => {
    const silent = fieldsOf(authorizationPolicySpec).filter(({ description }) => description === undefined);
    assert.deepEqual(silent, []);
  });
});

describe('a refused AuthorizationPolicy', () => {
  it('has an action that comes later, or does not exist', () => {
    for (const action of ['AUDIT', 'CUSTOM'])
      assert.deepEqual(refusals(`action: ${action}`), [
        `LAT0002 1 action: ${action} is not supported yet; use ALLOW or DENY`,
      ]);
    assert.deepEqual(refusals('action: LOG'), ['IST0106 1 action: must be one of ALLOW, DENY, AUDIT, CUSTOM']);
  });

  it('has fields that come later', () => {
    for (const field of ['targetRef: {}', 'targetRefs: []', 'provider: {name: a}'])
      assert.match(refusals(field)[0]!, /^LAT0002 1 \w+: is not supported yet/);
    for (const field of ['requestPrincipals', 'notRequestPrincipals', 'trustDomains'])
      assert.match(source(`${field}: [a]`)[0]!, new RegExp(`^LAT0002 1 .*${field}: is not supported yet; `));
  });

  it('has conditions that come later', () => {
    for (const key of ['request.auth.principal', 'request.auth.claims[iss]', 'experimental.envoy.filters.a[b]'])
      assert.match(
        condition(`key: '${key}', values: [a]`)[0]!,
        /^LAT0002 1 rules\[0\]\.when\[0\]\.key: .* is not supported yet; /,
      );
  });

  it('is meant to be tried only', () => {
    const tried = (value: string) =>
      validateFile(
        'a.yaml',
        `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: a\n  annotations:\n    istio.io/dry-run: "${value}"\nspec: {}\n`,
      )[0]!;
    const [said] = tried('true').diagnostics;
    assert.deepEqual([said!.code, said!.line, said!.path], ['LAT0002', 6, 'metadata.annotations["istio.io/dry-run"]']);
    assert.match(said!.message, /^is not supported yet/);
    assert.ok('refused' in tried('yes'), 'what is not false may be meant so');
    assert.ok('object' in tried('false'));
  });

  it('has a rule that is none', () => {
    assert.match(refusals('rules: [null]')[0]!, /^IST0106 1 rules\[0\]: must be a/);
    assert.match(
      messages(refusals('rules: [{from: []}]'))[0]!,
      /^must not be empty; leave it out to mean every caller/,
    );
    assert.match(
      messages(refusals('rules: [{to: []}]'))[0]!,
      /^must not be empty; leave it out to mean every operation/,
    );
    assert.match(refusals('rules: [{from: [{}]}]')[0]!, /source: is missing/);
  });

  it('has a source or an operation that says nothing', () => {
    for (const text of ['', 'principals: []']) assert.match(messages(source(text))[0]!, /^says nothing/);
    for (const text of ['', 'ports: [], paths: []']) assert.match(messages(operation(text))[0]!, /^says nothing/);
  });

  it('has a `*` where Istio takes it for that character', () => {
    for (const text of ["principals: ['a*b']", "principals: ['*a*']", "notPrincipals: ['**']"])
      assert.deepEqual(messages(source(text)), ['may have `*` at its beginning or at its end only']);
    for (const text of ["hosts: ['a.*.b']", "methods: ['*E*']"])
      assert.deepEqual(messages(operation(text)), ['may have `*` at its beginning or at its end only']);
    assert.match(messages(operation("paths: ['/a/*/b']"))[0]!, /\{\*\} stands for one segment/);
  });

  it('has a template that is none', () => {
    for (const [path, why] of [
      ['/{**}/{*}', 'only as the last'],
      ['/{**}/{**}', 'only as the last'],
      ['/a{*}', 'braces only around'],
      ['/{name}', 'braces only around'],
      ['/{*}/b*', 'no path has unescaped'],
      ['/{*}/a b', 'no path has unescaped'],
      ['/{', 'braces only around'],
    ] as const)
      assert.ok(messages(operation(`notPaths: ['${path}']`))[0]!.includes(why), path);
  });

  it('has addresses, ports, namespaces or accounts that are none', () => {
    for (const address of ['10.0.0', '10.0.0.0/33', '10.0.0.0/', '::1/129', 'fe80::1%eth0', 'a', '1.2.3.4/8/8'])
      assert.deepEqual(messages(source(`ipBlocks: ['${address}']`)), [
        'must be an IP address or a range such as 10.1.0.0/16',
      ]);
    for (const port of ['http', '65536', '-1', '8.5'])
      assert.match(messages(operation(`ports: ['${port}']`))[0]!, /^must be a port/);
    assert.match(messages(operation('ports: [80]'))[0]!, /must be a string, not a number; quote it/);
    for (const namespace of ['A', 'a.b', 'a/b'])
      assert.match(messages(source(`namespaces: ['${namespace}']`))[0]!, /^must be a namespace/);
    for (const account of ['a*', 'a/b/c', '/a', 'a/'])
      assert.match(messages(source(`serviceAccounts: ['${account}']`))[0]!, /^must be a service account/);
    assert.deepEqual(
      messages(source(`serviceAccounts: [${Array.from({ length: 17 }, (_, i) => `a${i}`).join(', ')}]`)),
      ['must be at most 16'],
    );
  });

  it('has service accounts beside principals or namespaces', () => {
    for (const text of ['principals: [a]', 'notNamespaces: [a]'])
      assert.match(messages(source(`serviceAccounts: [a], ${text}`))[0]!, /^has serviceAccounts beside/);
  });

  it('has a condition without values, or with values that its key cannot have', () => {
    assert.deepEqual(messages(condition('key: source.ip')), ['needs `values` or `notValues`']);
    assert.deepEqual(condition('key: source.ip, values: [10.0.0.1], notValues: [10.0.0.2, b]'), [
      'IST0106 1 rules[0].when[0].notValues[1]: must be an IP address or a range such as 10.1.0.0/16',
    ]);
    assert.match(messages(condition("key: 'request.headers[a b]', values: [a]"))[0]!, /HTTP header name/);
    assert.match(messages(condition("key: 'request.headers', values: [a]"))[0]!, /^is not a known key; the keys are/);
    assert.match(messages(condition('key: constructor, values: [a]'))[0]!, /^is not a known key/);
    assert.match(messages(condition("key: source.ip, values: ['']"))[0]!, /must not be empty/);
  });
});
