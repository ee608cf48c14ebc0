// Messages are counted the same wherever a body is cut.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { GrpcMessageCounter } from './grpc-messages.js';

const message = (body: Buffer, flag = 0, length = body.length): Buffer => {
  const prefix = Buffer.alloc(5, flag);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, body]);
};
const countAll = (chunks: readonly Uint8Array[]) => {
  const counter = new GrpcMessageCounter();
  return chunks.reduce((sum, chunk) => sum + counter.count(chunk), 0);
};

describe('messages of gRPC', () => {
  it('are counted at any cut of the chunks, whatever they hold', () => {
    const body = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(fc.array(fc.tuple(body, fc.nat(255))), fc.array(fc.integer({ min: 1, max: 30 })), (all, cuts) => {
        let rest = Buffer.concat(all.map(([bytes, flag]) => message(Buffer.from(bytes), flag)));
        const chunks: Buffer[] = [];
        for (const size of cuts) {
          chunks.push(rest.subarray(0, size));
          rest = rest.subarray(size);
        }
        assert.equal(countAll([...chunks, rest]), all.length);
      }),
    );
  });
  it('count when their prefix is complete', () => {
    const counter = new GrpcMessageCounter();
    assert.deepEqual([counter.count(Buffer.alloc(4)), counter.count(Buffer.alloc(1))], [0, 1]);
  });
  it('of 4 GB by their prefix are skipped, not kept', () => {
    const counter = new GrpcMessageCounter();
    assert.equal(counter.count(message(Buffer.alloc(100), 1, 0xffff_ffff)), 1);
    const part = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 4095; i++) assert.equal(counter.count(part), 0);
    assert.equal(counter.count(Buffer.alloc(1024 * 1024 - 101)), 0);
    assert.equal(counter.count(message(Buffer.from('next'))), 1, 'the one after them is found');
  });
});
