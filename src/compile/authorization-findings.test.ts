// What is said of AuthorizationPolicies that do not protect, or other than it seems; and that nothing is said of others.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotOf } from '../../test/harness/snapshots.js';
import { findProblems } from './findings.js';

const strict =
  'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: root}\nspec: {mtls: {mode: STRICT}}\n';

/** What is said of the policy, as `CODE path: message`. */
async function found(spec: string, { mode = 'DEFAULT', objects = strict, namespace = 'shop' } = {}): Promise<string[]> {
  const snapshot = await snapshotOf(
    `meshConfig: {rootNamespace: root, trustDomain: example.org, pathNormalization: {normalization: ${mode}}}
services:
  web: {namespace: shop, port: 80, protocol: http, command: web}
  db: {namespace: shop, port: 5432, protocol: tcp, command: db}
  any: {namespace: shop, port: 81, command: any}
`,
    `${objects}---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: ${namespace}}\nspec:\n${spec.replace(/^/gm, '  ')}\n`,
  );
  return findProblems(snapshot).map(({ severity, code, object, path, message }) => {
    assert.deepEqual([severity, object], ['warning', `AuthorizationPolicy/${namespace}/p`]);
    return `${code} ${path}: ${message}`;
  });
}
const web = 'selector: {matchLabels: {app: web}}\n';
const deny = (rule: string) => `${web}action: DENY\nrules: [{${rule}}]`;

describe('nothing is said of a policy', () => {
  for (const spec of [
    '{}',
    'rules: [{}]',
    `${web}rules: [{to: [{operation: {paths: ['/a/*']}}]}]`,
    "action: DENY\nrules: [{from: [{source: {principals: [cluster.local/ns/a/sa/b, example.org/ns/a/sa/b, 'example.org/ns/a/*', '*/sa/b', '*', 'example.*']}}]}]",
    deny("to: [{operation: {paths: ['*', '/', '/*', '*.php'], notPaths: [/exact/path]}}]"),
    "action: DENY\nrules: [{to: [{operation: {methods: [GET], ports: ['80']}}]}]",
  ])
    it(`that says ${spec.replaceAll('\n', '; ')}`, async () => assert.deepEqual(await found(spec), []));
  it('whose paths have one form only', async () =>
    assert.deepEqual(
      await found(deny("to: [{operation: {paths: ['/admin*']}}]"), { mode: 'DECODE_AND_MERGE_SLASHES' }),
      [],
    ));
  it('of the root namespace that selects workloads elsewhere', async () =>
    assert.deepEqual(await found(`${web}action: DENY\nrules: [{}]`, { namespace: 'root' }), []));
});

describe('it is said', () => {
  it('that a selector selects nothing', async () => {
    const expected = ['IST0127 spec.selector: no workload has these labels (app=wbe), so it has no effect'];
    assert.deepEqual(await found('selector: {matchLabels: {app: wbe}}'), expected);
    assert.equal((await found(web, { namespace: 'elsewhere' })).length, 1);
  });

  it('that a DENY without rules denies nothing', async () => {
    const [said, ...more] = await found('action: DENY');
    assert.match(said!, /^LAT0007 spec\.rules: .* write `rules: \[\{\}\]`$/);
    assert.deepEqual(more, []);
  });

  it('that nobody can have an identity', async () => {
    for (const principal of [
      'other.org/ns/a/sa/b',
      'ns/a/sa/b',
      'example.org/a/b',
      'shop/web',
      "'cluster.local/ns/a/*'",
    ])
      assert.match(
        (await found(`rules: [{from: [{source: {notPrincipals: ['*', ${principal}]}}]}]`)).join('\n'),
        /^LAT0007 spec\.rules\[0\]\.from\[0\]\.source\.notPrincipals\[1\]: no caller can have .*: in this mesh they have the form example\.org\/ns\/<namespace>\/sa\/<service account>$/,
      );
    assert.match(
      (await found('rules: [{when: [{key: source.principal, values: [web]}]}]'))[0]!,
      /^LAT0007 spec\.rules\[0\]\.when\[0\]\.values\[0\]: /,
    );
  });

  it('that a denied path can be written in another way, and what to do', async () => {
    for (const [mode, kept] of [
      ['NONE', 'dots, `//` and escapes'],
      ['BASE', '`//` and escaped slashes (%2F, %5C)'],
      ['DEFAULT', '`//` and escaped slashes (%2F, %5C)'],
      ['MERGE_SLASHES', 'escaped slashes (%2F, %5C)'],
    ] as const) {
      const [said, ...more] = await found(deny("to: [{operation: {paths: ['/admin*']}}]"), { mode });
      assert.ok(
        said!.startsWith(
          `LAT0020 spec.rules[0].to[0].operation.paths[0]: may be avoided: with meshConfig.pathNormalization ${mode} ${kept} stay`,
        ),
        said,
      );
      assert.match(
        said!,
        /sees \/admin\* where this rule does not; set DECODE_AND_MERGE_SLASHES, or allow paths instead/,
      );
      assert.deepEqual(more, []);
    }
    for (const operation of ["paths: ['*/secret']", "paths: ['/a/{*}']", "notPaths: ['/public/*']"])
      assert.equal((await found(deny(`to: [{operation: {${operation}}}]`))).length, 1, operation);
  });

  it('that callers without a certificate get past a DENY by identity', async () => {
    for (const source of ['principals: [cluster.local/ns/a/sa/b]', 'namespaces: [a]', 'serviceAccounts: [a]']) {
      const spec = deny(`from: [{source: {${source}}}]`);
      assert.match(
        (await found(spec, { objects: '' })).join(),
        /^LAT0020 spec\.rules\[0\]\.from\[0\]\.source: may be avoided: web-0 takes plaintext/,
      );
      assert.deepEqual(await found(spec), []);
    }
    assert.deepEqual(
      await found(deny('from: [{source: {notPrincipals: [cluster.local/ns/a/sa/b]}}]'), { objects: '' }),
      [],
    );
  });

  it('that rules of HTTP are other ones on ports that carry bytes', async () => {
    const rule = 'rules: [{to: [{operation: {methods: [GET]}}]}]';
    assert.match(
      (await found(rule)).join(),
      /^LAT0020 spec\.rules\[0\]: .* port 5432 of db-0 carries bytes: there the rule is left out and allows nothing/,
    );
    assert.match(
      (await found(`action: DENY\n${rule}`)).join(),
      /there the rule holds without what it names of HTTP and denies more/,
    );
    assert.equal((await found("rules: [{to: [{operation: {hosts: [a], ports: ['5432']}}]}]")).length, 1);
    assert.equal((await found("rules: [{when: [{key: 'request.headers[a]', values: [b]}]}]")).length, 1);
  });
});
