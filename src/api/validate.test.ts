// Documents become objects or diagnostics: what is taken, under which names, and what every refusal says and where.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { kinds, refusedKinds } from './kinds.js';
import { formatPath, validateFile, type DocumentResult } from './validate.js';

const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews
spec:
  host: reviews
`;

/** The only result of a file, in short: the object, or `line path: message` of every diagnostic. */
function read(text: string) {
  const results = validateFile('a.yaml', text);
  assert.equal(results.length, 1);
  return results[0]!;
}

function messagesOf(result: DocumentResult): string[] {
  return result.diagnostics.map(({ line, path, message }) => `${line} ${path}: ${message}`);
}

describe('an object', () => {
  it('is taken with name, namespace, labels, annotations and place', () => {
    const result = read(
      `# first\n\n${rule.replace('  name: reviews\n', '  name: reviews\n  namespace: shop\n  labels: {a: b}\n  annotations: {c: d}\n  uid: x\n')}status: {}\n`,
    );
    assert.deepEqual(result, {
      object: {
        apiVersion: 'networking.istio.io/v1',
        kind: 'DestinationRule',
        name: 'reviews',
        namespace: 'shop',
        labels: { a: 'b' },
        annotations: { c: 'd' },
        spec: { host: 'reviews' },
        origin: { file: 'a.yaml', line: 3 },
      },
      diagnostics: [],
    });
  });

  it('belongs to namespace default where none is named', () => {
    const result = read(rule);
    assert.ok('object' in result);
    assert.equal(result.object.namespace, 'default');
  });

  it('is taken from a List, with its own line', () => {
    const list = `apiVersion: v1\nkind: List\nitems:\n- ${rule.trim().replaceAll('\n', '\n  ')}\n- apiVersion: networking.istio.io/v1\n  kind: DestinationRule\n  metadata: {name: Bad}\n  spec: {}\n`;
    const [first, second] = validateFile('a.yaml', list);
    assert.ok('object' in first!);
    assert.equal(first.object.origin.line, 4);
    assert.deepEqual(messagesOf(second!), [
      '12 metadata.name: must be a name of lower-case letters, digits, dashes and dots',
      '13 spec.host: is missing; it must be a string',
    ]);
  });

  for (const { kind, group, versions } of kinds)
    for (const version of versions)
      it(`of kind ${kind} is known as ${group}/${version}`, () => {
        const [result] = validateFile(
          'a.yaml',
          `apiVersion: ${group}/${version}\nkind: ${kind}\nmetadata: {name: a}\n`,
        );
        assert.ok(!result!.diagnostics.some(({ code }) => code === 'LAT0001'));
      });
});

describe('an object that is not taken', () => {
  const kindMessage = (apiVersion: string, kind: string) => {
    const result = read(`apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: a, namespace: b}\n`);
    assert.deepEqual('refused' in result && result.refused, {
      apiVersion,
      kind,
      name: 'a',
      namespace: 'b',
      origin: { file: 'a.yaml', line: 1 },
    });
    const [{ code, severity, object, path, message }] = result.diagnostics as [DocumentResult['diagnostics'][number]];
    assert.deepEqual(
      { code, severity, object, path },
      { code: 'LAT0001', severity: 'error', object: `${kind}/b/a`, path: 'kind' },
    );
    return message;
  };

  for (const [group, names] of Object.entries(refusedKinds))
    for (const name of names)
      it(`is a ${name} of ${group || 'the core group'}, which is said to be not supported yet`, () => {
        assert.match(kindMessage(group === '' ? 'v1' : `${group}/v1`, name), /is not supported yet; /);
      });

  it('has a version that does not exist', () => {
    assert.equal(
      kindMessage('networking.istio.io/v2', 'VirtualService'),
      'VirtualService exists in networking.istio.io as v1, v1beta1, v1alpha3, not as v2; change apiVersion',
    );
  });

  it('has a version with more behind it', () => {
    assert.match(kindMessage('networking.istio.io/v1/v1', 'VirtualService'), /not as v1\/v1; change apiVersion$/);
  });

  it('names the wrong group for its kind', () => {
    assert.equal(
      kindMessage('networking.istio.io/v1', 'PeerAuthentication'),
      'PeerAuthentication belongs to security.istio.io, not to networking.istio.io; write apiVersion: security.istio.io/v1',
    );
    assert.match(kindMessage('v1', 'VirtualService'), /not to the core group/);
  });

  it('has a kind with a slip of the pen', () => {
    assert.match(kindMessage('networking.istio.io/v1', 'VirtualServce'), /did you mean VirtualService\?$/);
  });

  for (const group of ['constructor', '__proto__', 'toString'])
    it(`has a group that is called ${group}`, () => {
      assert.match(kindMessage(`${group}/v1`, 'X'), /is not a kind that this mesh knows/);
    });

  it('has no apiVersion or kind, and is only warned about', () => {
    for (const text of ['a: b', 'kind: X', 'apiVersion: v1', 'apiVersion: 1\nkind: X', '- a', 'word', '5']) {
      const result = read(text);
      assert.ok('refused' in result && result.refused === undefined);
      assert.deepEqual(
        result.diagnostics.map(({ code, severity, line }) => ({ code, severity, line })),
        [{ code: 'LAT0005', severity: 'warning', line: 1 }],
      );
    }
  });

  it('has metadata that break the rules', () => {
    const bad = rule.replace(
      'metadata:\n  name: reviews\n',
      'metadata:\n  name: 5\n  namespace: Shop\n  labels: {a: 1}\n  annotations: [x]\n',
    );
    assert.deepEqual(messagesOf(read(bad)), [
      '4 metadata.name: must be a string, not a number; quote it',
      '5 metadata.namespace: must be a namespace',
      '6 metadata.labels.a: must be a string, not a number; quote it',
      '7 metadata.annotations: must be a map, not an array',
    ]);
  });

  it('has no name', () => {
    const result = read(rule.replace('  name: reviews\n', '  labels: {}\n'));
    assert.deepEqual(messagesOf(result), ['3 metadata.name: needs a name']);
    assert.ok('refused' in result && result.refused === undefined);
    assert.deepEqual(messagesOf(read(rule.replace('metadata:\n  name: reviews\n', ''))), [
      '1 metadata.name: needs a name',
    ]);
  });

  it('has no spec', () => {
    assert.deepEqual(messagesOf(read(rule.replace('spec:\n  host: reviews\n', ''))), [
      '1 spec.host: is missing; it must be a string',
    ]);
    assert.deepEqual(messagesOf(read(rule.replace('spec:\n  host: reviews\n', 'spec: text\n'))), [
      '5 spec: must be an object, not a string',
    ]);
  });

  it('has fields beside metadata and spec', () => {
    assert.deepEqual(messagesOf(read(`${rule}specs: {}\ndata: x\n`)), [
      '7 specs: is not a known field; did you mean spec?',
      '8 data: is not a known field',
    ]);
  });

  it('has an unknown field far inside, with its line and a suggestion', () => {
    const bad = `${rule}  trafficPolicy:\n    loadBalancer:\n      simpel: RANDOM\n  subsets:\n  - name: v1\n    lables: {}\n`;
    assert.deepEqual(messagesOf(read(bad)), [
      '9 spec.trafficPolicy.loadBalancer.simpel: is not a known field; did you mean simple?',
      '12 spec.subsets[0].lables: is not a known field; did you mean labels?',
    ]);
  });

  it('has every problem named at once', () => {
    const bad = `${rule}  exportTo: [Shop, 5]\n  workloadSelector: {}\n  trafficPolicy: {tls: {mode: SIMPLE}, tunnel: {}}\n`;
    const result = read(bad);
    assert.deepEqual(
      result.diagnostics.map(({ code, line, path }) => `${code} ${line} ${path}`),
      [
        'LAT0002 9 spec.trafficPolicy.tls',
        'LAT0002 9 spec.trafficPolicy.tunnel',
        'IST0106 7 spec.exportTo[0]',
        'IST0106 7 spec.exportTo[1]',
        'LAT0002 8 spec.workloadSelector',
      ],
    );
    assert.ok(
      result.diagnostics.every(
        ({ object, file, severity }) =>
          object === 'DestinationRule/default/reviews' && file === 'a.yaml' && severity === 'error',
      ),
    );
  });
});

describe('a file', () => {
  it('that is no YAML is one diagnostic, which says that what it held goes on working', () => {
    assert.deepEqual(read('a: [\nb: ]['), {
      refused: undefined,
      diagnostics: [
        {
          severity: 'error',
          code: 'LAT0003',
          object: '',
          file: 'a.yaml',
          line: 2,
          path: '',
          message: read('a: [\nb: ][').diagnostics[0]!.message,
        },
      ],
    });
    assert.match(
      read('a: [\nb: ][').diagnostics[0]!.message,
      /^cannot be read as YAML: .+; the objects that this file held before keep working$/,
    );
  });

  it('that is empty, or holds comments or empty documents, is nothing', () => {
    for (const text of ['', '# a', '---\n---\n', '\uFEFF', 'null', '~\n'])
      assert.deepEqual(validateFile('a.yaml', text), []);
  });

  it('may hold good and bad documents side by side', () => {
    const results = validateFile('a.yaml', `${rule}---\nkind: x\n---\n${rule.replace('reviews', 'ratings')}`);
    assert.deepEqual(
      results.map((result) => ('object' in result ? result.object.origin.line : result.refused)),
      [1, undefined, 10],
    );
  });
});

it('no document makes validation throw', () => {
  const key = fc.constantFrom(
    'apiVersion',
    'kind',
    'metadata',
    'spec',
    'name',
    'hosts',
    'http',
    'match',
    'uri',
    'regex',
    'route',
    'destination',
    'host',
    'weight',
    'rewrite',
    'uriRegexRewrite',
    'selector',
    'mtls',
    'portLevelMtls',
    '80',
    'items',
    'retries',
    'constructor',
    '__proto__',
  );
  const leaf = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.constantFrom(
      'List',
      '(',
      '\\9',
      '*',
      'networking.istio.io/v1',
      'VirtualService',
      'PeerAuthentication',
      'constructor/v1',
      '__proto__/v1',
    ),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 7, withCrossShrink: true },
      leaf,
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
    ),
  }));
  const document = fc.record({
    apiVersion: fc.constantFrom('networking.istio.io/v1', 'security.istio.io/v1', 'v1', 'constructor/v1'),
    kind: fc.constantFrom('VirtualService', 'DestinationRule', 'PeerAuthentication', 'List', 'constructor'),
    metadata: fc.oneof(fc.constant({ name: 'a' }), tree),
    spec: tree,
    items: tree,
  });
  fc.assert(
    fc.property(document, (value) => {
      for (const result of validateFile('a.yaml', JSON.stringify(value)))
        assert.ok('object' in result || result.diagnostics.length > 0, 'an object is neither taken nor explained');
    }),
    { seed: 7, numRuns: 500 },
  );
});

describe('a path', () => {
  it('is written with dots, indexes and quoted names', () => {
    assert.equal(
      formatPath(['spec', 'http', 0, 'match', 1, 'headers', 'x-user', 'exact']),
      'spec.http[0].match[1].headers.x-user.exact',
    );
    assert.equal(formatPath(['spec', 'labels', 'app.kubernetes.io/name']), 'spec.labels["app.kubernetes.io/name"]');
    assert.equal(formatPath([]), '');
  });
});
