// Ranges of addresses, in every form in which an address can be written.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { connectionOf } from '../../../test/harness/authorization.js';
import { UnsupportedConfig } from '../http/matchers.js';
import { compileAddressRange, parseAddress } from './address-range.js';

const range = (addressPrefix: string, prefixLen?: number) =>
  ({ addressPrefix, prefixLen }) as Parameters<typeof compileAddressRange>[0];
const holds = (ip: string, prefix: string, length?: number) =>
  compileAddressRange(range(prefix, length), 'remoteAddress')(connectionOf({ ip }, 80), undefined);

describe('an address', () => {
  for (const [text, bytes] of [
    ['10.0.255.1', [10, 0, 255, 1]],
    ['::ffff:10.0.255.1', [10, 0, 255, 1]],
    ['::FFFF:a00:ff01', [10, 0, 255, 1]],
    ['::', Array(16).fill(0)],
    ['::1', [...Array<number>(15).fill(0), 1]],
    ['fe80::1%eth0', [0xfe, 0x80, ...Array<number>(13).fill(0), 1]],
    ['1:2:3:4:5:6:7:8', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ['1::8', [0, 1, ...Array<number>(13).fill(0), 8]],
    ['64:ff9b::1.2.3.4', [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]],
  ] as const)
    it(`${text} is read`, () => assert.deepEqual(parseAddress(text), bytes));
  it('that is none is none', () => {
    for (const text of ['', '10.0.0', 'a', '1::2::3', '10.0.0.0/8']) assert.equal(parseAddress(text), undefined);
  });
});

describe('a range', () => {
  for (const [ip, prefix, length, expected] of [
    ['10.1.2.3', '10.1.2.3', 32, true],
    ['10.1.2.4', '10.1.2.3', 32, false],
    ['10.1.255.255', '10.1.9.9', 16, true],
    ['10.1.127.0', '10.1.128.0', 17, false],
    ['10.1.129.0', '10.1.128.0', 17, true],
    ['1.2.3.4', '0.0.0.0', 0, true],
    ['::1', '0.0.0.0', 0, false],
    ['1.2.3.4', '::', 0, false],
    ['::ffff:10.1.2.3', '10.0.0.0', 8, true],
    ['10.1.2.3', '::ffff:10.0.0.0', 104, true],
    ['11.1.2.3', '::ffff:10.0.0.0', 104, false],
    ['fe80::1%eth0', 'fe80::', 10, true],
    ['2001:db8::1', '2001:db8::', 32, true],
    ['2001:db9::1', '2001:db8::', 32, false],
  ] as const)
    it(`${prefix}/${length} ${expected ? 'has' : 'lacks'} ${ip}`, () =>
      assert.equal(holds(ip, prefix, length), expected));

  it('without a length is everything of its family, as in Envoy', () =>
    assert.equal(holds('1.2.3.4', '10.0.0.0'), true));
  it('has no end of a connection that has gone', () => assert.equal(holds('undefined', '0.0.0.0', 0), false));
  it('that is none is refused', () => {
    assert.throws(() => compileAddressRange(range('a', 8), 'localAddress'), UnsupportedConfig);
    assert.throws(() => compileAddressRange(range('10.0.0.0', 33), 'localAddress'), UnsupportedConfig);
  });

  it('has exactly the addresses that begin with its bits', () =>
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), (ip, prefix, length) => {
        const bits = (text: string) =>
          text
            .split('.')
            .map((part) => Number(part).toString(2).padStart(8, '0'))
            .join('');
        assert.equal(holds(ip, prefix, length), bits(ip).slice(0, length) === bits(prefix).slice(0, length));
      }),
    ));
});
