// Many files become one state: which definition counts, what stays in force when one becomes invalid, and in which order.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatDiagnostic } from '../api/diagnostic.js';
import { objectKey, type MeshObject } from '../api/object.js';
import { validateFile, type DocumentResult } from '../api/validate.js';
import { mergeDocuments, type FileDocuments } from './merge-documents.js';
import type { SourceState } from './source.js';

const rule = (name: string, host = name) =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ${name}}\nspec: {host: ${host}}\n`;
const badRule = (name: string) => rule(name).replace('host:', 'hots:');
const broken = 'a: [';

const file = (path: string, ...texts: string[]): FileDocuments => ({
  file: path,
  documents: validateFile(path, texts.join('---\n')),
});
const unreadable = (path: string): FileDocuments => ({
  file: path,
  documents: [
    {
      refused: undefined,
      diagnostics: [
        { severity: 'error', code: 'LAT0003', object: '', file: path, line: 0, path: '', message: 'cannot be read' },
      ],
    } satisfies DocumentResult,
  ],
});

const byKey = (state: SourceState) => new Map(state.objects.map((object) => [objectKey(object), object]));
const none = new Map<string, MeshObject>();
/** Merges one state of the files after the other, each with what was in force before. */
function mergeAll(...states: (readonly FileDocuments[])[]): SourceState {
  let state: SourceState = { objects: [], refused: [], diagnostics: [] };
  for (const files of states) state = mergeDocuments(files, byKey(state));
  return state;
}
/** `name=host` of every object in force. */
const inForce = (state: SourceState) =>
  state.objects.map(({ name, spec }) => `${name}=${(spec as { host: string }).host}`);
const said = (state: SourceState) => state.diagnostics.map(formatDiagnostic);

describe('objects of several files', () => {
  it('are in force in the order of files and documents', () => {
    assert.deepEqual(inForce(mergeAll([file('a.yaml', rule('z'), rule('b')), file('b.yaml', rule('a'))])), [
      'z=z',
      'b=b',
      'a=a',
    ]);
  });

  it('keep their identity while they do not change', () => {
    const first = mergeAll([file('a.yaml', rule('a'), rule('b'))]);
    const second = mergeDocuments([file('a.yaml', rule('a'), rule('b', 'other'))], byKey(first));
    assert.equal(second.objects[0], first.objects[0]);
    assert.notEqual(second.objects[1], first.objects[1]);
  });

  it('are gone when their file or document is', () => {
    assert.deepEqual(
      inForce(mergeAll([file('a.yaml', rule('a'), rule('b')), file('b.yaml', rule('c'))], [file('a.yaml', rule('b'))])),
      ['b=b'],
    );
  });

  it('count by their first definition, and every later one is named with its line', () => {
    const state = mergeAll([
      file('a.yaml', rule('a', 'first')),
      file('b.yaml', rule('b'), rule('a', 'second')),
      file('c.yaml', rule('a', 'third')),
    ]);
    assert.deepEqual(inForce(state), ['a=first', 'b=b']);
    assert.deepEqual(said(state), [
      'error LAT0004 b.yaml:6 DestinationRule/default/a metadata.name: is already defined in a.yaml:1, which counts; rename or remove one of them',
      'error LAT0004 c.yaml:1 DestinationRule/default/a metadata.name: is already defined in a.yaml:1, which counts; rename or remove one of them',
    ]);
  });

  it('may have one name in different kinds and namespaces', () => {
    const other = rule('a').replace('name: a', 'name: a, namespace: other');
    const peer = 'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\n';
    assert.deepEqual(mergeAll([file('a.yaml', rule('a'), other, peer)]).diagnostics, []);
  });
});

describe('an object that becomes invalid', () => {
  const state = mergeAll(
    [file('a.yaml', rule('a')), file('b.yaml', rule('b'))],
    [file('a.yaml', badRule('a')), file('b.yaml', rule('b'))],
  );

  it('stays in force as it was, in its place', () => {
    assert.deepEqual(inForce(state), ['a=a', 'b=b']);
  });

  it('is refused, and said to go on in its last good version', () => {
    assert.deepEqual(
      state.refused.map(({ name, lastGoodInForce }) => ({ name, lastGoodInForce })),
      [{ name: 'a', lastGoodInForce: true }],
    );
    assert.ok(
      said(state).length > 0 && said(state).every((line) => line.endsWith('(the last good version keeps working)')),
    );
  });

  it('stays in force however often it is read again', () => {
    const bad = [file('a.yaml', badRule('a'))];
    assert.deepEqual(inForce(mergeAll([file('a.yaml', rule('a'))], bad, bad, bad)), ['a=a']);
  });

  it('has no effect where it was never valid', () => {
    const fresh = mergeAll([file('a.yaml', badRule('a'))]);
    assert.deepEqual(inForce(fresh), []);
    assert.deepEqual(
      fresh.refused.map(({ lastGoodInForce }) => lastGoodInForce),
      [false],
    );
    assert.ok(said(fresh).every((line) => line.endsWith('(the object has no effect until this is mended)')));
  });

  it('gives way when it is removed', () => {
    assert.deepEqual(
      inForce(mergeAll([file('a.yaml', rule('a'))], [file('a.yaml', badRule('a'))], [file('a.yaml')])),
      [],
    );
  });

  it('is not replaced by a valid one of its name that stands further down', () => {
    const moved = mergeAll(
      [file('a.yaml', rule('a', 'old'))],
      [file('a.yaml', badRule('a')), file('b.yaml', rule('a', 'new'))],
    );
    assert.deepEqual(inForce(moved), ['a=old']);
    assert.ok(said(moved).some((line) => line.startsWith('error LAT0004 b.yaml:1')));
  });
});

describe('a file that cannot be read', () => {
  const before = [file('a.yaml', rule('a1'), rule('a2')), file('b.yaml', rule('b'))];

  it('keeps what it held, before what younger files hold', () => {
    for (const bad of [file('a.yaml', broken), unreadable('a.yaml')])
      assert.deepEqual(inForce(mergeAll(before, [bad, before[1]!])), ['a1=a1', 'a2=a2', 'b=b']);
  });

  it('keeps it also through several readings', () => {
    const bad = [file('a.yaml', broken), before[1]!];
    assert.deepEqual(inForce(mergeAll(before, bad, bad, bad)), ['a1=a1', 'a2=a2', 'b=b']);
  });

  it('does not keep what another file defines now', () => {
    const state = mergeAll(before, [file('a.yaml', broken), file('b.yaml', rule('b'), rule('a1', 'moved'))]);
    assert.deepEqual(inForce(state), ['a2=a2', 'b=b', 'a1=moved']);
  });

  it('keeps nothing of other files', () => {
    assert.deepEqual(inForce(mergeAll(before, [file('a.yaml', broken)])), ['a1=a1', 'a2=a2']);
  });

  it('is mended by a good version, which counts alone', () => {
    assert.deepEqual(inForce(mergeAll(before, [file('a.yaml', broken)], [file('a.yaml', rule('a2', 'new'))])), [
      'a2=new',
    ]);
  });
});

describe('a folder that cannot be read', () => {
  const before = [
    file('a.yaml', rule('a')),
    file('x/b.yaml', rule('b')),
    file('x/y/c.yaml', rule('c')),
    file('xx/d.yaml', rule('d')),
  ];

  it('keeps what is below it and nothing else', () => {
    assert.deepEqual(inForce(mergeAll(before, [before[0]!, unreadable('x/')])), ['a=a', 'b=b', 'c=c']);
  });

  it('keeps everything where it is the root', () => {
    assert.deepEqual(inForce(mergeAll(before, [unreadable('./')])), ['a=a', 'b=b', 'c=c', 'd=d']);
  });

  it('keeps it in the order of files', () => {
    assert.deepEqual(inForce(mergeAll(before, [before[0]!, before[3]!, unreadable('x/')])), [
      'a=a',
      'b=b',
      'c=c',
      'd=d',
    ]);
  });
});

it('breaking files never changes what is in force, nor its order', () => {
  const names = ['p', 'q', 'r', 's'];
  const contents = fc.array(fc.uniqueArray(fc.constantFrom(...names), { maxLength: 3 }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(
      contents,
      fc.array(fc.constantFrom('keep', 'break', 'unreadable', 'spoil'), { minLength: 4, maxLength: 4 }),
      (lists, fates) => {
        const good = lists.map((list, i) => file(`${i}.yaml`, ...list.map((name) => rule(name, `${name}${i}`))));
        const before = mergeDocuments(good, none);
        const after = mergeDocuments(
          good.map((one, i) => {
            const fate = fates[i];
            if (fate === 'break') return file(one.file, broken);
            if (fate === 'unreadable') return unreadable(one.file);
            // Only where it is the definition that counts: a refused duplicate is still a duplicate.
            if (fate === 'spoil') return file(one.file, ...lists[i]!.map(badRule));
            return one;
          }),
          byKey(before),
        );
        // Where a file that counted cannot be read, a later definition of the same name takes over.
        const shadowed = new Set(names.filter((name) => lists.filter((list) => list.includes(name)).length > 1));
        const comparable = (state: SourceState) => state.objects.filter(({ name }) => !shadowed.has(name));
        assert.deepEqual(comparable(after), comparable(before));
      },
    ),
    { seed: 7, numRuns: 150 },
  );
});
