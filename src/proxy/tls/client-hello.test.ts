// The first bytes of TLS clients, real and made up, however they are cut.
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { before, describe, it } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { readClientHello, type ClientHello } from './client-hello.js';

/** What Node's own client sends first. */
function helloOf(options: Pick<tls.ConnectionOptions, 'servername' | 'ALPNProtocols' | 'maxVersion'>): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _, done) => {
        done();
        resolve(chunk);
      },
    });
    tls.connect({ socket: wire, ...options }).on('error', () => undefined);
  });
}

/** The handshake message of a record cut into records of `size` bytes. */
function inRecords(record: Buffer, size: number): Buffer {
  const message = record.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size);
    const header = Buffer.from([0x16, 3, 1, 0, 0]);
    header.writeUInt16BE(fragment.length, 3);
    records.push(header, fragment);
  }
  return Buffer.concat(records);
}

function extension(type: number, content: readonly number[]): number[] {
  return [type >> 8, type & 255, content.length >> 8, content.length & 255, ...content];
}

/** A hello in one record with the extensions, or none at all. */
function buildHello(extensions: readonly number[] | undefined): Buffer {
  const body = [3, 3, ...Array.from({ length: 32 }, () => 7), 0, 0, 2, 0x13, 1, 1, 0];
  if (extensions !== undefined) body.push(extensions.length >> 8, extensions.length & 255, ...extensions);
  const message = [1, 0, body.length >> 8, body.length & 255, ...body];
  return Buffer.from([0x16, 3, 1, message.length >> 8, message.length & 255, ...message]);
}

function sni(name: string, type = 0): number[] {
  const bytes = [...Buffer.from(name, 'latin1')];
  const list = [type, bytes.length >> 8, bytes.length & 255, ...bytes];
  return extension(0, [list.length >> 8, list.length & 255, ...list]);
}

function read(bytes: Buffer): ClientHello {
  const state = readClientHello(bytes);
  assert.equal(state.state, 'complete');
  return (state as { hello: ClientHello }).hello;
}

describe('a client hello', () => {
  let real: Buffer;
  const expected: ClientHello = {
    serverName: 'outbound_.80_._.web.shop.svc.cluster.local',
    protocols: ['lateen-h1', 'istio'],
  };
  before(async () => {
    real = await helloOf({ servername: expected.serverName!, ALPNProtocols: [...expected.protocols] });
  });

  it('of a real client has its server name and protocols', async () => {
    assert.deepEqual(read(real), expected);
    assert.deepEqual(read(await helloOf({})), { serverName: undefined, protocols: [] });
    assert.deepEqual(read(await helloOf({ servername: 'A.example', maxVersion: 'TLSv1.2' })).serverName, 'a.example');
  });

  it('is incomplete at every truncation, and the same whatever follows', () => {
    for (let length = 0; length < real.length; length++)
      assert.deepEqual(readClientHello(real.subarray(0, length)), { state: 'incomplete' }, `${length} bytes`);
    assert.deepEqual(read(Buffer.concat([real, Buffer.from('more')])), expected);
  });

  it('is the same in records of any size, at every truncation too', () => {
    for (const size of [1, 2, 3, 4, 5, 7, 100, real.length - 6]) {
      const cut = inRecords(real, size);
      assert.deepEqual(read(cut), expected, `records of ${size}`);
      for (let length = 0; length < cut.length; length += size < 4 ? 37 : 1)
        assert.equal(
          readClientHello(cut.subarray(0, length)).state,
          'incomplete',
          `${length} bytes, records of ${size}`,
        );
    }
  });

  it('without extensions has neither name nor protocols', () => {
    assert.deepEqual(read(buildHello(undefined)), { serverName: undefined, protocols: [] });
    assert.deepEqual(read(buildHello([])), { serverName: undefined, protocols: [] });
  });

  it('has a server name in lower case, and none where it is no host name', () => {
    assert.equal(read(buildHello(sni('WEB.Shop'))).serverName, 'web.shop');
    for (const name of ['', 'a b', 'a\0', 'a\n', 'caf\u00e9', 'x'.repeat(256)])
      assert.equal(read(buildHello(sni(name))).serverName, undefined, JSON.stringify(name));
    assert.equal(read(buildHello(sni('web', 1))).serverName, undefined, 'a name of another kind');
    assert.equal(read(buildHello(extension(0, []))).serverName, undefined, 'an empty extension');
  });

  it('keeps the order of protocols', () => {
    const list = [2, 0x68, 0x32, 1, 0x78];
    assert.deepEqual(read(buildHello(extension(16, [0, list.length, ...list]))).protocols, ['h2', 'x']);
  });

  for (const [what, bytes] of [
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['another record', Buffer.from([0x17, 3, 3, 0, 1, 0])],
    ['an alert', Buffer.from([0x15, 3, 1, 0, 2, 2, 40])],
    ['SSL 2', Buffer.from([0x80, 0x2e, 1, 3, 1])],
    ['another version', Buffer.from([0x16, 2])],
    ['an empty record', Buffer.from([0x16, 3, 1, 0, 0])],
    ['another handshake message', Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0])],
    ['a message longer than 64 KiB', Buffer.from([0x16, 3, 1, 0, 4, 1, 1, 0, 0])],
    ['a message of no bytes', Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0, 0])],
    ['extensions that are cut off', buildHello([0, 0, 0, 5, 0])],
    ['a name that is longer than its list', buildHello(extension(0, [0, 4, 0, 0, 9, 97]))],
    ['protocols longer than their list', buildHello(extension(16, [0, 3, 9, 97, 98]))],
  ] as const)
    it(`is not what begins with ${what}`, () => assert.deepEqual(readClientHello(bytes), { state: 'not-tls' }));

  it('that another record interrupts is none', () => {
    const cut = inRecords(real, 50);
    cut[55] = 0x17;
    assert.deepEqual(readClientHello(cut), { state: 'not-tls' });
  });

  it('that never ends is given up', () => {
    const record = Buffer.alloc(5 + 16_384, 1);
    record.set([0x16, 3, 1, 0x40, 0]);
    const first = Buffer.from(record);
    first.set([1, 0, 0xff, 0xfc], 5);
    const endless = Buffer.concat([first, record, record, record]);
    assert.equal(readClientHello(endless).state, 'not-tls', 'its content is nonsense');
    assert.equal(readClientHello(inRecords(endless.subarray(0, 60_000), 1).subarray(0, 70_000)).state, 'not-tls');
  });

  it('with any bytes changed is read or refused, and no more than read', () => {
    const change = fc.tuple(fc.nat(real.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), fc.nat(real.length), (changes, length) => {
        const bytes = Buffer.from(real);
        for (const [at, value] of changes) bytes[at] = value;
        const state = readClientHello(bytes.subarray(0, length));
        if (state.state !== 'complete') return;
        assert.ok(state.hello.serverName === undefined || /^[\x21-\x7e]{1,255}$/.test(state.hello.serverName));
        assert.ok(state.hello.protocols.join('').length <= length);
      }),
      { numRuns: 3000 },
    );
  });

  it('once refused is refused however it goes on', () => {
    const byte = fc.oneof(fc.constantFrom(0x16, 3, 1, 0, 4), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 40 }), fc.array(byte, { maxLength: 40 }), (start, rest) => {
        if (readClientHello(Buffer.from(start)).state === 'not-tls')
          assert.equal(readClientHello(Buffer.from([...start, ...rest])).state, 'not-tls');
      }),
      { numRuns: 1000 },
    );
  });
});
