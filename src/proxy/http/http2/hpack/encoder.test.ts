// What the encoder writes: examples of RFC 7541, which fields get a place in the table, and which never.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import v8 from 'node:v8';
import vm from 'node:vm';
import { decodeBlock, encodeBlock, tableOf } from '../../../../../test/harness/header-blocks.js';
import { HpackDecoder } from './decoder.js';
import { HpackEncoder } from './encoder.js';

/** Both ends of a connection. */
class Pair {
  readonly encoder = new HpackEncoder();
  readonly decoder = new HpackDecoder();

  /** Bytes that a field takes. */
  send(name: string, value: string, neverIndex = false): number {
    const target = Buffer.alloc(HpackEncoder.bound([name, value]));
    const end = this.encoder.field(name, value, target, this.encoder.beginBlock(target, 0), neverIndex);
    assert.deepEqual(decodeBlock(this.decoder, target.subarray(0, end)).fields, [name, value]);
    return end;
  }
}

/** Sizes of fields that are sent in turn. */
function sizes(...fields: (readonly [name: string, value: string])[]): number[] {
  const pair = new Pair();
  return fields.map(([name, value]) => pair.send(name, value));
}

it('requests are written as in RFC 7541 section C.3, once their values have been seen', () => {
  const encoder = new HpackEncoder();
  const hex = (...headers: string[]) => encodeBlock(encoder, headers).toString('hex');
  const first = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
  hex(...first, 'cache-control', 'no-cache');
  encoder.setMaxTableBytes(0);
  encoder.setMaxTableBytes(4096);
  assert.equal(hex(), '203fe11f');
  assert.equal(hex(...first), '828684410f7777772e6578616d706c652e636f6d');
  assert.equal(hex(...first, 'cache-control', 'no-cache'), '828684be58086e6f2d6361636865');
  assert.equal(
    hex(':method', 'GET', ':scheme', 'https', ':path', '/index.html', ...first.slice(6), 'custom-key', 'custom-value'),
    '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
  );
});

describe('the size of the table', () => {
  const begin = (...sizes: number[]) => {
    const encoder = new HpackEncoder();
    for (const size of sizes) encoder.setMaxTableBytes(size);
    const first = encodeBlock(encoder, []).toString('hex');
    assert.equal(encodeBlock(encoder, []).toString('hex'), '', 'said twice');
    return first;
  };

  it('is said at the start of the next block, as in RFC 7541 section C.1', () => {
    assert.equal(begin(10), '2a');
    assert.equal(begin(1337), '3f9a0a');
  });

  it('is said with the smallest that it went through', () => {
    assert.equal(begin(0, 1337), '203f9a0a');
    assert.equal(begin(10, 0, 1337, 10, 4096), '203fe11f');
  });

  it('is not said where it stays as it was', () => {
    assert.equal(begin(), '');
    assert.equal(begin(4096), '');
  });

  it('is 4096 however much the peer allows', () => {
    assert.equal(begin(65536), '');
    assert.equal(begin(100, 2 ** 32 - 1), '3f453fe11f');
  });

  it('grows without a smaller one before', () => {
    const encoder = new HpackEncoder();
    encoder.setMaxTableBytes(10);
    encodeBlock(encoder, []);
    encoder.setMaxTableBytes(1337);
    assert.equal(encodeBlock(encoder, []).toString('hex'), '3f9a0a');
  });
});

describe('fields', () => {
  it('of the static table take one byte from the first time', () => {
    const known = [
      ':method GET',
      ':path /index.html',
      ':status 404',
      ':scheme https',
      'accept-encoding gzip, deflate',
      'via ',
    ];
    for (const field of known) {
      const space = field.indexOf(' ');
      assert.deepEqual(sizes([field.slice(0, space), field.slice(space + 1)]), [1], field);
    }
  });

  for (const name of ['x-forwarded-client-cert', 'x-anything', 'grpc-status'])
    it(`like ${name}, whose name no table has, take one byte from the second time on`, () => {
      assert.equal(sizes([name, 'a value of some length'], [name, 'a value of some length'])[1], 1);
    });

  for (const name of [':authority', ':path', 'content-type', 'date', 'etag', 'cookie'])
    it(`like ${name} take one byte from the third time on, and no place before the second`, () => {
      const pair = new Pair();
      const value = '/a value of some length';
      pair.send(name, value);
      assert.deepEqual(tableOf(pair.decoder), []);
      pair.send(name, value);
      assert.deepEqual(tableOf(pair.decoder), [name, value]);
      assert.equal(pair.send(name, value), 1);
    });

  it('that all repeat take one byte each by their third time, however many they are', () => {
    const pair = new Pair();
    const values = Array.from({ length: 60 }, (_, i) => `/${i}`);
    for (const _time of [1, 2]) for (const value of values) pair.send(':path', value);
    for (const value of values) assert.equal(pair.send(':path', value), 1);
  });

  for (const name of [
    'x-request-id',
    'traceparent',
    'tracestate',
    'b3',
    'x-b3-spanid',
    'x-envoy-upstream-service-time',
  ])
    it(`like ${name} put their name into the table, once`, () => {
      const pair = new Pair();
      for (let i = 0; i < 100; i++) pair.send(name, `value ${i}`);
      assert.deepEqual(tableOf(pair.decoder), [name, 'value 0']);
      assert.equal(pair.send(name, 'another'), 3 + 'another'.length);
    });

  for (const name of [':path', 'content-length', 'x-user-id'])
    it(`like ${name} evict nothing where the values do not repeat`, () => {
      const pair = new Pair();
      pair.send('x-forwarded-proto', 'https');
      for (let i = 0; i < 1000; i++) pair.send(name, `/orders/${i}`);
      assert.equal(pair.send('x-forwarded-proto', 'https'), 1);
    });

  it('larger than a quarter of the table evict nothing', () => {
    const pair = new Pair();
    pair.send('a', 'b');
    for (let i = 0; i < 10; i++) pair.send('x-large', `${i}`.padEnd(1000));
    assert.deepEqual(tableOf(pair.decoder), ['a', 'b']);
    for (const _time of [1, 2]) pair.send('x-large', 'x'.repeat(1024 - 32 - 'x-large'.length));
    assert.equal(tableOf(pair.decoder).length, 4);
  });

  it('use the newest name, which has the shortest index', () => {
    const pair = new Pair();
    for (let i = 0; i < 70; i++) for (const _time of [1, 2]) pair.send('x-a', `${i}`);
    pair.send('x-a', 'new');
    assert.equal(pair.send('x-a', 'new'), 1 + 1 + 'new'.length);
  });
});

describe('secrets', () => {
  for (const [name, value] of [
    ['authorization', 'Basic dXNlcjpwYXNzd29yZA=='],
    ['authorization', `Bearer ${'x'.repeat(300)}`],
    ['proxy-authorization', 'Basic YTpi'],
    ['set-cookie', `session=${'x'.repeat(30)}`],
    ['cookie', 'pin=1234'],
    ['x-api-key', 'abc'],
  ] as const)
    it(`of ${name} (${value.length} characters) are marked as never to be indexed`, () => {
      const pair = new Pair();
      for (let i = 0; i < 3; i++) {
        assert.ok(pair.send(name, value) > value.length);
        assert.deepEqual(pair.decoder.neverIndexed, [name]);
      }
      assert.deepEqual(tableOf(pair.decoder), []);
    });

  it('are what a peer marked so, though the field be in a table', () => {
    const pair = new Pair();
    pair.send('x-a', 'b');
    for (const [name, value] of [
      ['x-a', 'b'],
      [':method', 'GET'],
      ['x-b', 'c'],
    ] as const) {
      pair.send(name, value, true);
      assert.deepEqual(pair.decoder.neverIndexed, [name]);
    }
    assert.deepEqual(tableOf(pair.decoder), ['x-a', 'b']);
  });
});

it('entries do not keep the texts alive that they were cut out of', () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  const encoders = Array.from({ length: 20 }, () => new HpackEncoder());
  collect();
  const before = process.memoryUsage().heapUsed;
  for (const encoder of encoders)
    for (let i = 0; i < 40; i++) {
      const text = `x-name-of-some-length-${i}: value of some length ${i} ${'y'.repeat(30_000)}`.replaceAll('z', '');
      const colon = text.indexOf(':');
      encodeBlock(encoder, [text.slice(0, colon), text.slice(colon + 2, text.indexOf('y'))]);
    }
  collect();
  assert.ok(process.memoryUsage().heapUsed - before < 5e6, 'texts that are over stay in memory');
  assert.equal(encoders.length, 20);
});
