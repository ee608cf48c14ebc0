// Which names of workloads are taken, and how they are written.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatSpiffeId, parseSpiffeId } from './spiffe-id.js';

describe('a SPIFFE ID', () => {
  it('is read as it was written', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,30}$/).filter((text) => !/^\.+$/.test(text));
    fc.assert(
      fc.property(
        fc.record(
          { trustDomain: fc.stringMatching(/^[a-z0-9._-]{1,30}$/), namespace: segment, serviceAccount: segment },
          { noNullPrototype: true },
        ),
        (id) => assert.deepEqual(parseSpiffeId(formatSpiffeId(id)), id),
      ),
    );
  });

  it('is what it reads as and nothing else', () => {
    const unit = fc.constantFrom('spiffe://', 'td', '/ns/', 'a', '/sa/', '/', '.', '%2e', '\n', '?', '#', 'B');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 10 }), (text) => {
        const id = parseSpiffeId(text);
        if (id !== undefined) assert.equal(formatSpiffeId(id), text);
      }),
      { numRuns: 500 },
    );
  });

  for (const uri of [
    '',
    'spiffe://',
    'spiffe://td',
    'spiffe://td/ns/a',
    'spiffe://td/ns/a/sa',
    'spiffe://td/ns/a/sa/',
    'spiffe://td/ns//sa/b',
    'spiffe:///ns/a/sa/b',
    'spiffe://td/ns/a/sa/b/',
    'spiffe://td/ns/a/sa/b/c',
    'spiffe://td//ns/a/sa/b',
    'spiffe://td/NS/a/sa/b',
    'spiffe://td/ns/./sa/b',
    'spiffe://td/ns/../sa/b',
    'spiffe://td/ns/a/sa/..',
    'spiffe://td/ns/a%2fb/sa/b',
    'spiffe://td/ns/a/sa/b%00',
    'spiffe://td/ns/a/sa/b\0',
    'spiffe://td/ns/a/sa/b\n',
    ' spiffe://td/ns/a/sa/b',
    'spiffe://td/ns/a/sa/b?x=1',
    'spiffe://td/ns/a/sa/b#x',
    'spiffe://td:8443/ns/a/sa/b',
    'spiffe://user@td/ns/a/sa/b',
    'spiffe://TD/ns/a/sa/b',
    'SPIFFE://td/ns/a/sa/b',
    'https://td/ns/a/sa/b',
    'spiffe://t\u00e4/ns/a/sa/b',
    'spiffe://td/ns/\u00e4/sa/b',
    `spiffe://${'t'.repeat(256)}/ns/a/sa/b`,
    `spiffe://td/ns/a/sa/${'b'.repeat(2048)}`,
  ])
    it(`${JSON.stringify(uri.length > 60 ? `${uri.slice(0, 20)}... of ${uri.length} characters` : uri)} is none`, () =>
      assert.equal(parseSpiffeId(uri), undefined));

  it('may be as long as 2048 bytes with a trust domain of 255', () => {
    const start = `spiffe://${'t'.repeat(255)}/ns/a/sa/`;
    assert.notEqual(parseSpiffeId(start + 'b'.repeat(2048 - start.length)), undefined);
  });
});
