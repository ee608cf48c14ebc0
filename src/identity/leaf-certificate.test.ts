// What a peer check reads of a certificate, from bytes that anybody may have made.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { buildCertificate, extension, names, oid } from '../../test/harness/certificate-der.js';
import { DerError, tag, writeElement } from './der.js';
import { parseLeafCertificate } from './leaf-certificate.js';

const uri = 'spiffe://cluster.local/ns/shop/sa/web';
const critical = Buffer.from([tag.boolean, 1, 0xff]);

describe('a certificate', () => {
  it('has validity and names', () => {
    const leaf = parseLeafCertificate(
      buildCertificate({ notBefore: '250101000000Z', notAfter: '260101000000Z', extensions: [names([uri])] }),
    );
    assert.deepEqual(leaf, {
      notBeforeMs: Date.UTC(2025, 0),
      notAfterMs: Date.UTC(2026, 0),
      uris: [uri],
      isAuthority: false,
      maySignCertificates: false,
    });
  });

  it('without a version or extensions is one of version 1 and names nobody', () => {
    const { uris, isAuthority } = parseLeafCertificate(buildCertificate({ version: 1, extensions: [] }));
    assert.deepEqual({ uris, isAuthority }, { uris: [], isAuthority: false });
  });

  it('gives every URI in order and no name of another kind', () => {
    const others = [
      writeElement(0x82, Buffer.from('spiffe.example')),
      writeElement(0x87, Buffer.from([127, 0, 0, 1])),
      writeElement(0xa0, Buffer.from([0x06, 1, 1])),
    ];
    const list = writeElement(
      tag.sequence,
      others[0]!,
      writeElement(0x86, Buffer.from('a:1')),
      others[1]!,
      writeElement(0x86, Buffer.from('b:2')),
      others[2]!,
    );
    assert.deepEqual(parseLeafCertificate(buildCertificate({ extensions: [extension(oid.names, list)] })).uris, [
      'a:1',
      'b:2',
    ]);
  });

  it('keeps commas and quotes of a name inside that name', () => {
    const tricky = 'x:1, URI:spiffe://cluster.local/ns/shop/sa/web"';
    assert.deepEqual(parseLeafCertificate(buildCertificate({ extensions: [names([tricky])] })).uris, [tricky]);
  });

  it('reads extensions with and without the critical flag', () => {
    const list = writeElement(tag.sequence, writeElement(0x86, Buffer.from(uri)));
    const marked = writeElement(
      tag.sequence,
      writeElement(tag.objectIdentifier, oid.names),
      critical,
      writeElement(tag.octetString, list),
    );
    assert.deepEqual(parseLeafCertificate(buildCertificate({ extensions: [marked] })).uris, [uri]);
  });

  for (const [what, content, expected] of [
    ['empty basic constraints', [], false],
    ['cA TRUE', [0x01, 1, 0xff], true],
    ['cA true in any other form', [0x01, 1, 1], true],
    ['cA FALSE', [0x01, 1, 0], false],
    ['only a path length', [0x02, 1, 0], false],
  ] as const)
    it(`with ${what} is ${expected ? 'an' : 'no'} authority`, () => {
      const value = writeElement(tag.sequence, Buffer.from(content));
      const der = buildCertificate({ extensions: [extension(oid.basicConstraints, value)] });
      assert.equal(parseLeafCertificate(der).isAuthority, expected);
    });

  for (const [what, bits, expected] of [
    ['digitalSignature', [7, 0x80], false],
    ['digitalSignature and keyAgreement', [3, 0x88], false],
    ['keyCertSign', [2, 0x04], true],
    ['cRLSign', [1, 0x02], true],
    ['digitalSignature and keyCertSign', [2, 0x84], true],
    ['decipherOnly, whose bit lies in the second byte', [7, 0x80, 0x80], false],
    ['no bit', [0], false],
  ] as const)
    it(`with the key usage ${what} ${expected ? 'may' : 'may not'} sign certificates`, () => {
      const value = writeElement(tag.bitString, Buffer.from(bits));
      const der = buildCertificate({ extensions: [extension(oid.keyUsage, value)] });
      assert.equal(parseLeafCertificate(der).maySignCertificates, expected);
    });

  for (const [what, der] of [
    ['two extensions of names', buildCertificate({ extensions: [names([uri]), names(['x:1'])] })],
    [
      'two basic constraints',
      buildCertificate({
        extensions: [
          extension(oid.basicConstraints, writeElement(tag.sequence)),
          extension(oid.basicConstraints, writeElement(tag.sequence, Buffer.from([1, 1, 0xff]))),
        ],
      }),
    ],
    ['names that are no list', buildCertificate({ extensions: [extension(oid.names, Buffer.from([0x86, 1, 65]))] })],
    [
      'bytes after the list of names',
      buildCertificate({
        extensions: [extension(oid.names, Buffer.concat([writeElement(tag.sequence), Buffer.from([0])]))],
      }),
    ],
    [
      'a key usage that is no bit string',
      buildCertificate({ extensions: [extension(oid.keyUsage, Buffer.from([4, 0]))] }),
    ],
    ['an extension without a value', buildCertificate({ extensions: [writeElement(tag.sequence)] })],
    ['no validity', writeElement(tag.sequence, writeElement(tag.sequence, Buffer.from([2, 1, 1])))],
    ['a month that does not exist', buildCertificate({ notAfter: '251301000000Z' })],
    ['bytes after it', Buffer.concat([buildCertificate({}), Buffer.from([0])])],
  ] as const)
    it(`with ${what} is malformed`, () => assert.throws(() => parseLeafCertificate(der), DerError));

  it('is malformed at every truncation', () => {
    const der = buildCertificate({ extensions: [names([uri])] });
    for (let length = 0; length < der.length; length++)
      assert.throws(() => parseLeafCertificate(der.subarray(0, length)), DerError, `${length} bytes`);
  });

  it('with any bytes changed is read or refused as malformed', () => {
    const der = buildCertificate({
      extensions: [names([uri]), extension(oid.basicConstraints, writeElement(tag.sequence))],
    });
    const change = fc.tuple(fc.nat(der.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const changed = Buffer.from(der);
        for (const [at, value] of changes) changed[at] = value;
        try {
          parseLeafCertificate(changed);
        } catch (error) {
          assert.ok(error instanceof DerError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
