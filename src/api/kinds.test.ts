// The register of kinds: its names are unambiguous, and diagnostics can be printed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatDiagnostic, type Diagnostic } from './diagnostic.js';
import { findKind, kinds, refusedKinds } from './kinds.js';

describe('kinds', () => {
  it('have names that mean one kind each', () => {
    const names = kinds.flatMap((kind) => kind.names);
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.every((name) => /^[a-z]+$/.test(name)));
  });

  it('are found by plural, singular, short form and kind, in any case', () => {
    for (const name of ['virtualservices', 'VirtualService', 'virtualservice', 'VS', 'vs'])
      assert.equal(findKind(name)?.kind, 'VirtualService');
    assert.equal(findKind('constructor'), undefined);
  });

  it('are not refused and taken at once', () => {
    const both = kinds.filter(({ group, kind }) => refusedKinds[group]?.includes(kind));
    assert.deepEqual(both, []);
  });
});

describe('a diagnostic in one line', () => {
  const diagnostic: Diagnostic = {
    severity: 'error',
    code: 'IST0106',
    object: 'VirtualService/shop/web',
    file: 'web.yaml',
    line: 7,
    path: 'spec.hosts',
    message: 'must name a host',
  };

  it('names severity, code, place, object and field', () => {
    assert.equal(
      formatDiagnostic(diagnostic),
      'error IST0106 web.yaml:7 VirtualService/shop/web spec.hosts: must name a host',
    );
  });

  it('leaves out what is not known', () => {
    assert.equal(
      formatDiagnostic({ ...diagnostic, object: '', path: '', line: 0 }),
      'error IST0106 web.yaml: must name a host',
    );
  });
});
