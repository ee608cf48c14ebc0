// Istio's evaluation as a table: what users write goes through the compiler, the wire and the proxy, and callers are judged.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { policyJudge, type Asked } from '../../../test/harness/authorization.js';

let count = 0;
function policy(spec: string, { name = `p${count++}`, namespace = 'shop' } = {}): string {
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec:\n${spec.replace(/^/gm, '  ')}\n---\n`;
}
const allow = (rule: string) => policy(`rules: [{${rule}}]`, { name: 'a' });
const deny = (rule: string) => policy(`action: DENY\nrules: [{${rule}}]`, { name: 'd' });
const by = (name: string, rule = 0, namespace = 'shop') => `ns[${namespace}]-policy[${name}]-rule[${rule}]`;

/** Cases of one set of policies: who asks, and the answer. */
type Case = readonly [asked: Asked, answer: string];
function table(title: string, objects: string, ...cases: readonly Case[]): void {
  it(title, async () => {
    const judge = await policyJudge(objects);
    assert.deepEqual(
      cases.map(([asked]) => [asked, judge(asked)]),
      cases.map(([asked, answer]) => [asked, answer]),
    );
  });
}

const web = { from: 'shop/web' };
const bytes = { port: 81 };

describe('who is allowed', () => {
  table('everybody, where there is no policy', '', [{}, 'allowed'], [web, 'allowed'], [bytes, 'allowed']);
  table('nobody, by an ALLOW policy without rules', policy('{}'), [{}, 'none'], [web, 'none'], [bytes, 'none']);
  table('everybody, by an ALLOW policy with an empty rule', policy('rules: [{}]'), [{}, 'allowed'], [bytes, 'allowed']);
  table('everybody, by a DENY policy without rules', policy('action: DENY'), [{}, 'allowed'], [bytes, 'allowed']);
  table(
    'nobody, by a DENY policy with an empty rule, whatever is allowed',
    policy('rules: [{}]') + policy('action: DENY\nrules: [{}]', { name: 'd' }),
    [{}, by('d')],
    [{ ...web, ...bytes }, by('d')],
  );
  table(
    'whom an ALLOW policy matches and no DENY policy does',
    allow('from: [{source: {namespaces: [shop]}}]') + deny('to: [{operation: {methods: [DELETE]}}]'),
    [web, 'allowed'],
    [{ ...web, method: 'DELETE' }, by('d')],
    [{ from: 'other/web' }, 'none'],
    [{}, 'none'],
  );
  table(
    'whom one of several ALLOW policies matches, wherever they stand',
    policy('rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/a]}}]}]', { namespace: 'root' }) +
      policy('rules: [{from: [{source: {principals: [cluster.local/ns/b/sa/b]}}]}]') +
      policy(
        'selector: {matchLabels: {team: a}}\nrules: [{from: [{source: {principals: [cluster.local/ns/c/sa/c]}}]}]',
      ),
    [{ from: 'a/a' }, 'allowed'],
    [{ from: 'b/b' }, 'allowed'],
    [{ from: 'c/c' }, 'allowed'],
    [{ from: 'd/d' }, 'none'],
  );
  table(
    'regardless of policies for other workloads and other namespaces',
    policy('action: DENY\nselector: {matchLabels: {team: b}}\nrules: [{}]') +
      policy('action: DENY\nselector: {matchLabels: {team: b}}\nrules: [{}]', { namespace: 'root' }) +
      policy('action: DENY\nrules: [{}]', { namespace: 'elsewhere' }),
    [{}, 'allowed'],
  );
  table(
    'not where a policy of the root namespace selects the workload',
    policy('action: DENY\nselector: {matchLabels: {team: a}}\nrules: [{}]', { name: 'r', namespace: 'root' }),
    [{}, by('r', 0, 'root')],
  );
});

describe('a rule', () => {
  table(
    'holds where one of `from`, one of `to` and all of `when` do',
    allow(
      "from: [{source: {namespaces: [a]}}, {source: {namespaces: [b]}}], to: [{operation: {methods: [GET]}}, {operation: {paths: [/p]}}], when: [{key: 'request.headers[x]', values: ['1']}, {key: 'request.headers[y]', values: ['2']}]",
    ),
    [{ from: 'a/w', headers: ['x', '1', 'y', '2'] }, 'allowed'],
    [{ from: 'b/w', method: 'POST', path: '/p', headers: ['x', '1', 'y', '2'] }, 'allowed'],
    [{ from: 'c/w', headers: ['x', '1', 'y', '2'] }, 'none'],
    [{ from: 'a/w', method: 'POST', headers: ['x', '1', 'y', '2'] }, 'none'],
    [{ from: 'a/w', headers: ['x', '1'] }, 'none'],
  );
  table(
    'with values and negated values holds where one of the first and none of the second match',
    allow("to: [{operation: {paths: ['/a*'], notPaths: ['/ab*', /ac]}}]"),
    [{ path: '/a' }, 'allowed'],
    [{ path: '/abc' }, 'none'],
    [{ path: '/ac' }, 'none'],
    [{ path: '/b' }, 'none'],
  );
  table(
    'is named by its place, the first by name where several match',
    policy('action: DENY\nrules: [{to: [{operation: {paths: [/a]}}]}, {to: [{operation: {paths: [/b]}}]}, {}]', {
      name: 'd',
    }),
    [{ path: '/a' }, by('d', 0)],
    [{ path: '/b' }, by('d', 1)],
    [{ path: '/c' }, by('d', 2)],
  );
});

describe('the caller', () => {
  const principals = (list: string) => allow(`from: [{source: {principals: [${list}]}}]`);
  table(
    'has one identity, with or without the scheme',
    principals('cluster.local/ns/a/sa/a, spiffe://cluster.local/ns/b/sa/b'),
    [{ from: 'a/a' }, 'allowed'],
    [{ from: 'b/b' }, 'allowed'],
    [{ from: 'a/ab' }, 'none'],
    [{}, 'none'],
  );
  table(
    'is matched by beginning and end',
    principals("'cluster.local/ns/a/*', '*/sa/z'"),
    [{ from: 'a/x' }, 'allowed'],
    [{ from: 'b/z' }, 'allowed'],
    [{ from: 'b/x' }, 'none'],
    [{ from: 'b/zz' }, 'none'],
  );
  table('is anybody with a certificate', principals("'*'"), [web, 'allowed'], [{}, 'none']);
  table(
    'without a certificate is nobody, who is not excepted either',
    allow('from: [{source: {notPrincipals: [cluster.local/ns/a/sa/a], notNamespaces: [b]}}]'),
    [{}, 'allowed'],
    [{ from: 'c/c' }, 'allowed'],
    [{ from: 'a/a' }, 'none'],
    [{ from: 'b/c' }, 'none'],
  );
  table(
    'is of a namespace, and a `*` stays within it',
    allow("from: [{source: {namespaces: [a, 'b-*', '*-c', 'd*e', '*sa']}}]"),
    [{ from: 'a/x' }, 'allowed'],
    [{ from: 'ab/x' }, 'none'],
    [{ from: 'b-1/x' }, 'allowed'],
    [{ from: 'z-c/x' }, 'allowed'],
    [{ from: 'd/e' }, 'none'],
    [{ from: 'dxe/x' }, 'allowed'],
    [{ from: 'other/x' }, 'none'],
  );
  table(
    'has a service account, of the namespace of the policy where none is named',
    allow('from: [{source: {serviceAccounts: [web, other/a.b]}}]'),
    [{ from: 'shop/web' }, 'allowed'],
    [{ from: 'other/web' }, 'none'],
    [{ from: 'other/a.b' }, 'allowed'],
    [{ from: 'other/axb' }, 'none'],
    [{ from: 'shop/web2' }, 'none'],
    [{}, 'none'],
  );
  table(
    'lacks a service account',
    allow('from: [{source: {notServiceAccounts: [web]}}]'),
    [{ from: 'shop/web' }, 'none'],
    [{ from: 'shop/x' }, 'allowed'],
  );
  table(
    'has an address',
    allow("from: [{source: {ipBlocks: [10.1.0.0/16, 192.168.0.7, '2001:db8::/32'], notIpBlocks: [10.1.9.0/24]}}]"),
    [{ ip: '10.1.2.3' }, 'allowed'],
    [{ ip: '10.1.9.3' }, 'none'],
    [{ ip: '10.2.2.3' }, 'none'],
    [{ ip: '192.168.0.7' }, 'allowed'],
    [{ ip: '192.168.0.8' }, 'none'],
    [{ ip: '::ffff:10.1.2.3' }, 'allowed'],
    [{ ip: '2001:db8:1::1' }, 'allowed'],
    [{ ip: '2001:db9::1' }, 'none'],
  );
  table(
    'is not whom a header names',
    allow('from: [{source: {principals: [cluster.local/ns/a/sa/a]}}]'),
    [{ ...web, headers: ['x-forwarded-client-cert', 'URI=spiffe://cluster.local/ns/a/sa/a'] }, 'none'],
    [{ ip: '1.2.3.4', headers: ['x-forwarded-for', '10.0.0.1'] }, 'none'],
  );
});

describe('the request', () => {
  table(
    'has a host, in any case and on any port',
    allow("to: [{operation: {hosts: [Shop.example, '*.Suffix.example', 'prefix.*', 'x:81']}}]"),
    [{ host: 'shop.EXAMPLE' }, 'allowed'],
    [{ host: 'shop.example:8080' }, 'allowed'],
    [{ host: 'shop.example.org' }, 'none'],
    [{ host: 'xshop.example' }, 'none'],
    [{ host: 'a.suffix.example' }, 'allowed'],
    [{ host: 'a.SUFFIX.example:80' }, 'allowed'],
    [{ host: 'a.suffixxexample:80' }, 'none'],
    [{ host: 'prefix.a' }, 'allowed'],
    [{ host: 'x:81' }, 'allowed'],
    [{ host: 'x' }, 'none'],
    [{ host: 'x:810' }, 'none'],
  );
  table(
    'has a method, in its case',
    allow("to: [{operation: {methods: [GET, 'P*']}}]"),
    [{ method: 'GET' }, 'allowed'],
    [{ method: 'get' }, 'none'],
    [{ method: 'PATCH' }, 'allowed'],
    [{ method: 'DELETE' }, 'none'],
  );
  table(
    'has a path, in its case and without its query',
    allow("to: [{operation: {paths: [/exact, '/prefix/*', '*.php']}}]"),
    [{ path: '/exact' }, 'allowed'],
    [{ path: '/exact?a=b' }, 'allowed'],
    [{ path: '/Exact' }, 'none'],
    [{ path: '/exact/' }, 'none'],
    [{ path: '/prefix/' }, 'allowed'],
    [{ path: '/prefix' }, 'none'],
    [{ path: '/a.php' }, 'allowed'],
    [{ path: '/a?b=/exact.php' }, 'none'],
    [{ path: '', method: 'CONNECT' }, 'none'],
  );
  table(
    'has a path of a template',
    allow("to: [{operation: {paths: ['/a/{*}/b', '/c/{**}', '/{**}/end', '/d/{*}/{**}/e']}}]"),
    [{ path: '/a/x/b' }, 'allowed'],
    [{ path: '/a/x.y~[z]/b?q' }, 'allowed'],
    [{ path: '/a//b' }, 'none'],
    [{ path: '/a/x/y/b' }, 'none'],
    [{ path: '/a/x/bc' }, 'none'],
    [{ path: '/c/' }, 'allowed'],
    [{ path: '/c/x/y' }, 'allowed'],
    [{ path: '/c' }, 'none'],
    [{ path: '/x/y/end' }, 'allowed'],
    [{ path: '/d/x/y/z/e' }, 'allowed'],
    [{ path: '/d/x/e' }, 'none'],
  );
  table('has any path', allow("to: [{operation: {paths: ['*']}}]"), [{}, 'allowed'], [{ path: '*' }, 'allowed']);
  table(
    'has a port of the workload, not the one at which it arrives',
    deny("to: [{operation: {ports: ['80', '443']}}]"),
    [{}, by('d')],
    [bytes, 'allowed'],
  );
  table('lacks a port', deny("to: [{operation: {notPorts: ['80', '443']}}]"), [{}, 'allowed'], [bytes, by('d')]);
  table(
    'has a header',
    allow("when: [{key: 'request.headers[X-Role]', values: [admin, 'a-*', '*-z']}]"),
    [{ headers: ['x-role', 'admin'] }, 'allowed'],
    [{ headers: ['x-role', 'a-1'] }, 'allowed'],
    [{ headers: ['x-role', '1-z'] }, 'allowed'],
    [{ headers: ['x-role', 'Admin'] }, 'none'],
    [{ headers: ['x-other', 'admin'] }, 'none'],
    [{}, 'none'],
  );
  table(
    'has a header several times: each counts, and none hides another',
    deny("when: [{key: 'request.headers[x-role]', values: [admin]}]"),
    [{ headers: ['x-role', 'admin', 'x-role', 'user'] }, by('d')],
    [{ headers: ['x-role', 'user', 'x-role', 'admin'] }, by('d')],
    [{ headers: ['x-role', 'user'] }, 'allowed'],
  );
  table(
    'has a header at all',
    allow("when: [{key: 'request.headers[x]', values: ['*']}]"),
    [{ headers: ['x', ''] }, 'allowed'],
    [{}, 'none'],
  );
  table(
    'lacks the value of a header, also where it lacks the header',
    allow("when: [{key: 'request.headers[x]', notValues: [a]}]"),
    [{}, 'allowed'],
    [{ headers: ['x', 'b'] }, 'allowed'],
    [{ headers: ['x', 'b', 'x', 'a'] }, 'none'],
  );
});

describe('conditions', () => {
  for (const [key, value, yes, no] of [
    ['source.ip', '10.1.0.0/16', { ip: '10.1.0.1' }, { ip: '10.2.0.1' }],
    ['source.namespace', 'a', { from: 'a/x' }, { from: 'b/x' }],
    ['source.principal', 'cluster.local/ns/a/sa/x', { from: 'a/x' }, { from: 'a/y' }],
    ['source.serviceAccount', 'web', { from: 'shop/web' }, { from: 'other/web' }],
    ['destination.ip', '127.0.0.0/8', {}, undefined],
    ['destination.ip', '10.0.0.0/8', undefined, {}],
    ['destination.port', '80', {}, undefined],
    ['destination.port', '443', undefined, {}],
    ['connection.sni', 'outbound_.80_.*', { sni: 'outbound_.80_._.api' }, { sni: 'other' }],
    ['connection.sni', '*', { sni: 'a' }, {}],
  ] as readonly [string, string, Asked | undefined, Asked | undefined][])
    it(`${key} ${value}`, async () => {
      const positive = await policyJudge(allow(`when: [{key: ${key}, values: ['${value}']}]`));
      const negative = await policyJudge(allow(`when: [{key: ${key}, notValues: ['${value}']}]`));
      if (yes !== undefined) assert.deepEqual([positive(yes), negative(yes)], ['allowed', 'none']);
      if (no !== undefined) assert.deepEqual([positive(no), negative(no)], ['none', 'allowed']);
    });
});

describe('on bytes', () => {
  table(
    'an ALLOW rule that names anything of HTTP is left out, whatever else it names',
    policy(
      "rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [GET]}}, {operation: {ports: ['81']}}]}, {from: [{source: {namespaces: [b]}}]}]",
    ),
    [{ ...bytes, from: 'a/x' }, 'none'],
    [{ ...bytes, from: 'b/x' }, 'allowed'],
    [{ from: 'a/x' }, 'allowed'],
  );
  for (const http of [
    "to: [{operation: {hosts: ['*']}}]",
    'to: [{operation: {notPaths: [/a]}}]',
    "when: [{key: 'request.headers[x]', notValues: [a]}]",
  ])
    table(`an ALLOW policy of {${http}} alone allows nobody`, allow(http), [bytes, 'none'], [{}, 'allowed']);
  table(
    'a DENY rule loses what it names of HTTP and keeps the rest',
    deny("from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [GET], ports: ['81']}}]"),
    [{ ...bytes, from: 'a/x' }, by('d')],
    [{ ...bytes, from: 'b/x' }, 'allowed'],
    [{ from: 'a/x' }, 'allowed'],
  );
  table(
    'a DENY rule of HTTP alone denies everybody',
    deny("when: [{key: 'request.headers[x]', values: [a]}]"),
    [bytes, by('d')],
    [{}, 'allowed'],
  );
  table(
    'empty lists name nothing',
    allow("from: [{source: {namespaces: [shop], principals: []}}], to: [{operation: {ports: ['81'], methods: []}}]"),
    [{ ...web, ...bytes }, 'allowed'],
  );
});
