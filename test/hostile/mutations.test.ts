// Requests that are mutated at random: whatever they have become, the proxy goes on, answers nobody with what belongs to
// somebody else, and what it does pass on is a request by everybody's reading.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { TestMesh } from '../harness/mesh.js';
import { entrancesOf, startHostileMesh } from './entrances.js';
import { RecordingUpstream } from './recording-upstream.js';
import type { Entrance } from './run-case.js';
import { converse, type Step } from './steps.js';
import { readRequests, readResponses, statusOf } from './wire.js';

const seed = 20_261_124;
const templates = [
  'GET /m/{id} HTTP/1.1\r\nHost: web\r\nAccept: */*\r\n\r\n',
  'POST /m/{id} HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello',
  'POST /m/{id} HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
  'GET /m/{id} HTTP/1.1\r\nHost: web\r\n\r\nPOST /m/{id}/2 HTTP/1.1\r\nHost: web\r\nContent-Length: 3\r\n\r\nabc',
  'GET http://web/m/{id} HTTP/1.1\r\nHost: web\r\nConnection: keep-alive, x\r\nX: y\r\n\r\n',
];
/** What mutations put in: what framing hangs on. */
const pieces = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '0\r\n\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Host: other\r\n',
  '\xff',
  'GET /m/{id}/x HTTP/1.1\r\nHost: web\r\n\r\n',
];

interface Mutation {
  readonly kind: 'insert' | 'delete' | 'replace' | 'repeat';
  /** Share of the text before the place. */
  readonly at: number;
  readonly length: number;
  readonly piece: string;
}

const mutation = fc.record({
  kind: fc.constantFrom('insert' as const, 'delete' as const, 'replace' as const, 'repeat' as const),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 6 }),
  piece: fc.constantFrom(...pieces),
});

function mutate(text: string, { kind, at, length, piece }: Mutation): string {
  const i = Math.floor(at * text.length);
  const [before, cut, behind] = [text.slice(0, i), text.slice(i, i + length), text.slice(i + length)];
  switch (kind) {
    case 'insert':
      return before + piece + cut + behind;
    case 'delete':
      return before + behind;
    case 'replace':
      return before + piece + behind;
    case 'repeat':
      return before + cut + cut + behind;
  }
}

describe('mutated requests', () => {
  let upstream: RecordingUpstream;
  let mesh: TestMesh;
  let entrances: Entrance[];

  before(async () => {
    upstream = await RecordingUpstream.start();
    mesh = await startHostileMesh(upstream);
    entrances = await entrancesOf(mesh);
  });
  after(async () => {
    await mesh?.close();
    upstream.close();
  });

  it('crash nothing, and every answer goes to whom it belongs', async () => {
    const { proxyPid } = mesh.workload('web-0');
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...templates),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 2 }),
        async (template, mutations, splits) => {
          const id = `m${++run}`;
          const entrance = entrances[run % entrances.length]!;
          const text = mutations.reduce(mutate, template).replaceAll('{id}', id);
          const cuts = splits.map((share) => Math.floor(share * text.length)).sort((a, b) => a - b);
          const parts = [0, ...cuts].map((from, i) => text.slice(from, cuts[i] ?? text.length));
          // Good requests go on at the same time: what the mutated one does must not reach them.
          const [mutated, ...good] = await Promise.all([
            exchange(entrance, [...parts, 'end']),
            ...entrances.map((other) =>
              exchange(other, [`GET /good/${id} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n`]),
            ),
          ]);
          for (const answer of good) {
            const [response] = readResponses(answer, ['GET'], true);
            assert.equal(response === undefined ? 'no answer' : statusOf(response), 200, JSON.stringify(text));
            assert.equal(response!.body, `/good/${id}`, JSON.stringify(text));
          }
          assert.ok(!mutated.includes('/good/'), `somebody else's answer: ${JSON.stringify(text)}`);
        },
      ),
      { seed, numRuns: 600 },
    );
    assert.equal(mesh.workload('web-0').proxyPid, proxyPid);
  });

  it('left requests at the server that can be read in one way only', () => {
    const requests = upstream.connections.flatMap(({ bytes }) => readRequests(bytes));
    assert.ok(requests.length > 1000, 'the control: many arrived');
    for (const { line, fields } of requests) {
      const head = `${line}\n${fields.join('\n')}`;
      assert.match(line, /^[A-Z0-9a-z!#$%&'*+\-.^_`|~]+ \/\S* HTTP\/1\.1$/, head);
      for (const field of fields) assert.match(field, /^[a-z0-9!#$%&'*+\-.^_`|~]+: [^\r\n\0]*$/, head);
      assert.equal(fields.filter((field) => field.startsWith('host:')).length, 1, head);
      assert.ok(fields.filter((field) => /^(?:content-length|transfer-encoding):/.test(field)).length <= 1, head);
    }
  });
});

async function exchange(entrance: Entrance, steps: readonly Step[]): Promise<string> {
  const socket = await entrance.connect();
  const { bytes } = await converse(socket, steps, () => false, 15_000);
  socket.destroy();
  return bytes;
}
