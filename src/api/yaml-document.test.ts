// Reading YAML: exact lines, and bounds on what a hostile file can cost.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { largestFile, parseYaml } from './yaml-document.js';
import { findTooDeep } from './yaml-depth.js';

function documentsOf(text: string) {
  const parsed = parseYaml(text);
  assert.ok('documents' in parsed, `refused: ${JSON.stringify(parsed)}`);
  return parsed.documents;
}

const valuesOf = (text: string) => documentsOf(text).map(({ value }) => value);

function problemOf(text: string) {
  const parsed = parseYaml(text);
  assert.ok('problem' in parsed, 'was taken');
  return parsed.problem;
}

describe('a YAML text', () => {
  it('may hold nothing, only comments, or empty documents', () => {
    assert.deepEqual(valuesOf(''), []);
    assert.deepEqual(valuesOf('\n\n'), []);
    assert.ok(valuesOf('# nothing\n').every((value) => value === null));
    assert.ok(valuesOf('---\n---\n').every((value) => value === null));
  });

  it('may hold several documents', () => {
    assert.deepEqual(valuesOf('a: 1\n---\nb: 2\n...\n---\n- c\n'), [{ a: 1 }, { b: 2 }, ['c']]);
  });

  it('may be anything but a map', () => {
    assert.deepEqual(valuesOf('just words'), ['just words']);
    assert.deepEqual(valuesOf('[1, 2]'), [[1, 2]]);
  });

  it('may end its lines with CRLF and begin with a byte order mark', () => {
    const [document] = documentsOf('\uFEFFa:\r\n  b: 1\r\n  c: 2\r\n');
    assert.deepEqual(document!.value, { a: { b: 1, c: 2 } });
    assert.deepEqual([document!.lineOf([]), document!.lineOf(['a', 'b']), document!.lineOf(['a', 'c'])], [1, 2, 3]);
  });

  it('reads dates, octals and yes as YAML 1.2 does', () => {
    assert.deepEqual(valuesOf('{a: yes, b: 0o17, c: 2020-01-01, d: 010, e: null, f: true}'), [
      { a: 'yes', b: 15, c: '2020-01-01', d: 10, e: null, f: true },
    ]);
  });

  it('may use anchors and merge keys', () => {
    assert.deepEqual(valuesOf('a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: *a\n'), [
      { a: { x: 1 }, b: { x: 1, y: 2 }, c: { x: 1 } },
    ]);
  });

  it('keeps the key __proto__ a key', () => {
    const [value] = valuesOf('__proto__: {polluted: true}');
    assert.deepEqual(Object.keys(value as object), ['__proto__']);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });

  it('makes texts of keys that are none, without a word on stderr', () => {
    const warnings: unknown[] = [];
    const listener = (warning: Error) => warnings.push(warning.message);
    process.on('warning', listener);
    assert.deepEqual(valuesOf('{a: b}: c\n1: d\n'), [{ '{ a: b }': 'c', 1: 'd' }]);
    return new Promise<void>((resolve) =>
      setImmediate(() => {
        process.off('warning', listener);
        assert.deepEqual(warnings, []);
        resolve();
      }),
    );
  });
});

describe('a refused YAML text', () => {
  it('names the line of a tab that indents', () => {
    const { line, message } = problemOf('a:\n  b: 1\nc:\n\td: 2\n');
    assert.equal(line, 4);
    assert.match(message, /tab/i);
  });

  it('names the second of two equal keys, also where one is quoted or a number', () => {
    assert.deepEqual(problemOf('a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n'), {
      line: 5,
      message: 'the key c stands twice in one map',
    });
    assert.equal(problemOf('a: 1\n"a": 2\n').line, 2);
    assert.equal(problemOf('1: x\n"1": y\n').line, 2);
    assert.equal(problemOf('[{a: 1,\n a: 2}]').line, 2);
  });

  it('says in one line what stays open', () => {
    const { line, message } = problemOf('a: 1\nb: [1, 2\n');
    assert.ok(line >= 2);
    assert.ok(!message.includes('\n'));
  });

  it('has an unknown tag', () => {
    assert.deepEqual(problemOf('a: 1\nb: !secret x\n').line, 2);
  });

  it('has an alias without an anchor', () => {
    assert.match(problemOf('a: *nowhere\n').message, /nowhere/);
  });

  it('has an alias inside of what it names', () => {
    assert.equal(problemOf('a: &a\n  b: [*a]\n').message, 'an alias stands inside of what it names');
    assert.equal(problemOf('--- 1\n---\na: &a [*a]\n').line, 3);
  });

  it('is larger than 4 MiB', () => {
    assert.match(problemOf(' '.repeat(largestFile + 1)).message, /larger than 4 MiB/);
  });

  it('holds more than 10000 documents', () => {
    assert.match(problemOf('---\n'.repeat(10_001)).message, /more than 10000 documents/);
  });

  it('grows without bound by aliases of aliases', () => {
    const levels = 'abcdefghi'.split('');
    const laughs = levels
      .map(
        (name, i) =>
          `${name}: &${name} [${Array.from({ length: 9 }, () => (i === 0 ? 'lol' : `*${levels[i - 1]}`)).join(', ')}]`,
      )
      .join('\n');
    assert.match(problemOf(laughs).message, /alias/i);
  });

  for (const [form, text] of [
    ['open brackets', '['.repeat(100_000)],
    ['closed brackets', '['.repeat(5000) + ']'.repeat(5000)],
    ['open braces', '{a: '.repeat(20_000)],
    ['dashes', '- '.repeat(100_000)],
    ['question marks', '? '.repeat(20_000)],
    ['indented maps', Array.from({ length: 1500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    [
      'indented maps whose colons stand in falling columns',
      Array.from({ length: 1500 }, (_, i) => `${' '.repeat(i)}${'a'.repeat(3000 - 2 * i)}:`).join('\n'),
    ],
  ] as const)
    it(`nests too deep, by ${form}`, () => {
      assert.match(problemOf(text).message, /nests more than 100/);
    });

  it('names the line on which it nests too deep', () => {
    assert.equal(problemOf(`a: 1\nb:\n  ${'['.repeat(101)}`).line, 3);
    assert.equal(problemOf(Array.from({ length: 120 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')).line, 101);
  });
});

describe('a large YAML text', () => {
  it('costs in proportion to its keys, not to their square', () => {
    const keys = 60_000; // compared each with each, these would be some two thousand million comparisons
    const [value] = valuesOf(Array.from({ length: keys }, (_, i) => `k${i}: 1`).join('\n'));
    assert.equal(Object.keys(value as object).length, keys);
  });
});

describe('the line of a path', () => {
  const text = `# a comment
kind: VirtualService

spec:
  hosts:
    - a
    - b
  http:
    - match: [{uri: {exact: /}},
              {uri: {prefix: /x}}]
      route:
      - destination: {host: a}
        weight: 1
---

second: true
`;
  const [first, second] = documentsOf(text);
  const cases: [path: (string | number)[], line: number][] = [
    [[], 2],
    [['kind'], 2],
    [['spec'], 4],
    [['spec', 'hosts', 1], 7],
    [['spec', 'http', 0], 9],
    [['spec', 'http', 0, 'match', 1, 'uri', 'prefix'], 10],
    [['spec', 'http', 0, 'route', 0, 'weight'], 13],
    [['spec', 'http', 0, 'timeout'], 9],
    [['spec', 'http', 7, 'route'], 8],
    [['spec', 'tls', 0], 4],
    [['nowhere'], 2],
  ];
  for (const [path, line] of cases)
    it(`${path.join('.') || '(the document)'} is ${line}`, () => assert.equal(first!.lineOf(path), line));

  it('is counted from the beginning of the file in every document', () => {
    assert.deepEqual([second!.lineOf([]), second!.lineOf(['second'])], [16, 16]);
  });
});

describe('the measured depth', () => {
  const depthOf = (value: unknown): number =>
    typeof value !== 'object' || value === null ? 0 : 1 + Math.max(0, ...Object.values(value).map(depthOf));
  const word = fc.constantFrom(
    'a',
    'b-c',
    '[',
    '{x',
    ': -',
    '- d',
    '"q"',
    "it's",
    '# no',
    '|',
    'two\nlines\n  [deep',
    '',
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 12 },
      word,
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(word, tie('tree'), { maxKeys: 3 }),
    ),
  }));
  const written = fc.record({
    value: tree,
    indent: fc.integer({ min: 1, max: 5 }),
    collectionStyle: fc.constantFrom('any', 'block', 'flow'),
    indentSeq: fc.boolean(),
  });

  it('is never more than the true depth, and at least half of it', () => {
    fc.assert(
      fc.property(written, ({ value, indent, collectionStyle, indentSeq }) => {
        const text = stringify(value, { indent, collectionStyle: collectionStyle as 'any', indentSeq });
        const depth = depthOf(value);
        assert.equal(findTooDeep(text, depth), undefined, text);
        if (depth > 1) assert.notEqual(findTooDeep(text, Math.ceil(depth / 2) - 1), undefined, text);
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});

it('reading gives back what was written, whatever it was', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const plain = JSON.parse(JSON.stringify(value)) as unknown;
      assert.deepEqual(valuesOf(stringify(plain)), [plain]);
    }),
    { seed: 7, numRuns: 200 },
  );
});

it('no text makes the reader throw', () => {
  const piece = fc.constantFrom(
    'a',
    ': ',
    '- ',
    '\n',
    ' ',
    '[',
    ']',
    '{',
    '}',
    ',',
    '&a ',
    '*a',
    '|',
    '>',
    '"',
    "'",
    '#',
    '---\n',
    '!t ',
    '? ',
    '%',
    '\t',
    '<<: ',
    '\r\n',
    '\u0000',
    '\uFEFF',
    '...\n',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const parsed = parseYaml(pieces.join(''));
      if ('problem' in parsed) assert.ok(parsed.problem.line >= 1 && !parsed.problem.message.includes('\n'));
      else for (const { lineOf } of parsed.documents) assert.ok(lineOf(['a', 0, 'a']) >= 1);
    }),
    { seed: 7, numRuns: 1500 },
  );
});
