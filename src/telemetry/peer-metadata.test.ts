// What proxies tell each other, and how much of it is believed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack, AnySchema, DurationSchema, StructSchema, type Any } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { unknownParty } from './istio-labels.js';
import {
  believedParty,
  decodePreamble,
  encodePreamble,
  partyOf,
  partyOfSummary,
  type NodeMetadata,
} from './peer-metadata.js';

const metadata: NodeMetadata = {
  NAME: 'reviews-v2-0',
  NAMESPACE: 'shop',
  WORKLOAD_NAME: 'reviews-v2',
  SERVICE_ACCOUNT: 'reviews',
  CLUSTER_ID: 'Kubernetes',
  LABELS: { app: 'reviews', version: 'v2' },
};
const uri = 'spiffe://cluster.local/ns/shop/sa/reviews';
const id = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'reviews' };

function preambleOf(any: Any): Buffer {
  const body = toBinary(AnySchema, any);
  const header = Buffer.alloc(8);
  header.writeUInt32BE(0x3d230467, 0);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

describe('a preamble', () => {
  it('is read as it was written, labels of any name too', () => {
    const text = fc.string({ maxLength: 20 });
    fc.assert(
      fc.property(
        fc.record(
          {
            NAME: text,
            NAMESPACE: text,
            WORKLOAD_NAME: text,
            SERVICE_ACCOUNT: text,
            CLUSTER_ID: text,
            // No label can be called `__proto__` (a name begins with a letter or digit), and the message library loses it.
            LABELS: fc.dictionary(
              fc.oneof(text, fc.constant('constructor')).filter((name) => name !== '__proto__'),
              text,
            ),
          },
          { noNullPrototype: true },
        ),
        (whole) => {
          const bytes = encodePreamble(whole);
          const state = decodePreamble(bytes);
          assert.ok(state.complete);
          assert.equal(state.length, bytes.length);
          assert.deepEqual(
            { ...state.metadata, LABELS: Object.entries(state.metadata!.LABELS).sort() },
            {
              ...whole,
              LABELS: Object.entries(whole.LABELS).sort(),
            },
          );
        },
      ),
    );
  });

  it('is incomplete at every truncation, and complete whatever follows', () => {
    const bytes = encodePreamble(metadata);
    for (let length = 0; length < bytes.length; length++)
      assert.deepEqual(decodePreamble(bytes.subarray(0, length)), { complete: false }, `${length} bytes`);
    const state = decodePreamble(Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1')]));
    assert.equal(state.complete && state.length, bytes.length);
  });

  it('that begins with anything else is refused at once', () => {
    assert.throws(() => decodePreamble(Buffer.from('GET / HTTP/1.1\r\n')), /did not begin with its metadata/);
  });

  it('longer than 16 KiB is refused before it arrives', () => {
    const header = encodePreamble(metadata).subarray(0, 8);
    header.writeUInt32BE(16 * 1024 + 1, 4);
    assert.throws(() => decodePreamble(header), /longer than 16384/);
    header.writeUInt32BE(16 * 1024, 4);
    assert.deepEqual(decodePreamble(header), { complete: false });
  });

  it('of a workload with more labels than a peer reads keeps those that metrics need', () => {
    const many = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`example.com/label-${i}`, 'x'.repeat(63)]));
    const state = decodePreamble(encodePreamble({ ...metadata, LABELS: { ...many, ...metadata.LABELS } }));
    assert.deepEqual({ ...(state.complete ? state.metadata?.LABELS : {}) }, metadata.LABELS);
  });

  it('with another message, or none, tells nothing', () => {
    const other = preambleOf(anyPack(DurationSchema, create(DurationSchema, { seconds: 1n })));
    assert.deepEqual(decodePreamble(other), { complete: true, length: other.length, metadata: undefined });
    assert.deepEqual(decodePreamble(preambleOf(create(AnySchema))), { complete: true, length: 8, metadata: undefined });
  });

  it('with values of other kinds leaves them empty', () => {
    const bytes = preambleOf(
      anyPack(
        StructSchema,
        create(StructSchema, {
          fields: {
            NAME: { kind: { case: 'numberValue', value: 5 } },
            LABELS: { kind: { case: 'stringValue', value: 'x' } },
          },
        }),
      ),
    );
    const state = decodePreamble(bytes);
    assert.equal(state.complete && state.metadata?.NAME, '');
    assert.deepEqual(Object.keys((state.complete && state.metadata?.LABELS) || {}), []);
  });

  it('of any bytes is read or refused', () => {
    const start = encodePreamble(metadata);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(start.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
        (changes) => {
          const bytes = Buffer.from(start);
          for (const [at, value] of changes) bytes[at] = value;
          try {
            decodePreamble(bytes);
          } catch (error) {
            assert.ok(error instanceof Error);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a party', () => {
  it('takes app and version from its labels, and the canonical names from Istio\u2019s order of labels', () => {
    const party = (LABELS: Record<string, string>) => {
      const { app, version, canonicalService, canonicalRevision } = partyOf({ ...metadata, LABELS }, uri);
      return [app, version, canonicalService, canonicalRevision];
    };
    assert.deepEqual(party({}), ['unknown', 'unknown', 'reviews-v2', 'latest']);
    assert.deepEqual(party({ app: 'a', version: 'v' }), ['a', 'v', 'a', 'v']);
    const kubernetes = { app: 'a', version: 'v', 'app.kubernetes.io/name': 'k', 'app.kubernetes.io/version': 'kv' };
    assert.deepEqual(party(kubernetes), ['a', 'v', 'k', 'kv']);
    assert.deepEqual(
      party({
        ...kubernetes,
        'service.istio.io/canonical-name': 'c',
        'service.istio.io/canonical-revision': 'cv',
      }),
      ['a', 'v', 'c', 'cv'],
    );
    assert.deepEqual(party({ app: '', version: '' }), ['unknown', 'unknown', 'reviews-v2', 'latest']);
  });

  it('is believed where its certificate says the same of namespace and account', () => {
    assert.deepEqual(believedParty(metadata, uri, id), {
      workload: 'reviews-v2',
      namespace: 'shop',
      principal: uri,
      app: 'reviews',
      version: 'v2',
      canonicalService: 'reviews',
      canonicalRevision: 'v2',
      cluster: 'Kubernetes',
    });
  });

  it('is nothing but its certificate where it says something else, or nothing', () => {
    const bare = { ...unknownParty, namespace: 'shop', principal: uri };
    for (const told of [
      undefined,
      { ...metadata, NAMESPACE: 'bank' },
      { ...metadata, SERVICE_ACCOUNT: 'admin' },
      { ...metadata, NAMESPACE: '', SERVICE_ACCOUNT: '' },
    ])
      assert.deepEqual(believedParty(told, uri, id), bare);
  });

  it('is read from the one line of endpoint metadata, whatever is missing', () => {
    assert.deepEqual(partyOfSummary('reviews-v2;shop;reviews;v2;Kubernetes'), {
      ...unknownParty,
      workload: 'reviews-v2',
      namespace: 'shop',
      canonicalService: 'reviews',
      canonicalRevision: 'v2',
      cluster: 'Kubernetes',
    });
    assert.deepEqual(partyOfSummary(''), unknownParty);
    assert.deepEqual(partyOfSummary(';shop', uri), { ...unknownParty, namespace: 'shop', principal: uri });
  });
});
