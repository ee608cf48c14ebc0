// Holds fields that a peer keeps out of the tables of compression to staying out of them on the next hop (RFC 7541 section 6.2.3).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemorySocket, settle } from '../../../../test/harness/memory-socket.js';
import { parseFrames } from '../../../../test/harness/http2-peer.js';
import { FrameWriter } from './frame-writer.js';
import { writeRequestHead, writeResponseHead } from './heads.js';
import { HpackDecoder } from './hpack/decoder.js';

async function neverIndexed(write: (writer: FrameWriter) => void): Promise<readonly string[]> {
  const socket = new MemorySocket();
  write(new FrameWriter(socket.socket));
  await settle();
  const decoder = new HpackDecoder();
  for (const { payload } of parseFrames(Buffer.from(socket.sent, 'latin1')).frames)
    decoder.decode(payload, 0, payload.length, [], 1e6, 100);
  return decoder.neverIndexed;
}

describe('a field that may be put into no table', () => {
  const headers = ['x-pin', '1234', 'x-open', 'a'];

  it('goes on as such in a request', async () => {
    const head = {
      method: 'GET',
      path: '/',
      authority: 'a',
      scheme: 'http',
      version: 'HTTP/2',
      headers,
      framing: 'none',
      contentLength: -1,
      headBytes: 0,
      secrets: ['x-pin'],
    } as const;
    const write = (writer: FrameWriter) => {
      for (const id of [1, 3, 5]) writeRequestHead(writer, id, { ...head, headers: [...headers] }, true);
    };
    assert.deepEqual(await neverIndexed(write), ['x-pin']);
  });

  it('goes on as such in a response', async () => {
    const head = { status: 200, headers, framing: 'none', contentLength: 0, headBytes: 0, secrets: ['x-pin'] } as const;
    const write = (writer: FrameWriter) => {
      for (const id of [1, 3, 5]) writeResponseHead(writer, id, { ...head, headers: [...headers] }, true);
    };
    assert.deepEqual(await neverIndexed(write), ['x-pin']);
  });
});
