// Holds the framing of bodies to RFC 9112 section 7, however the bytes are cut on their way.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { BodyFraming, Headers } from '../message.js';
import { BodyDecoder, type BodySink } from './body-decoder.js';
import { HttpSyntaxError } from './head.js';

const limits = { bytes: 1024, fields: 10 };

class Collected implements BodySink {
  body = '';
  ends = 0;
  trailers: Headers | undefined;

  onBody(chunk: Buffer): void {
    assert.equal(this.ends, 0, 'bytes after the end');
    assert.ok(chunk.length > 0, 'an empty part');
    this.body += chunk.toString('latin1');
  }

  onBodyEnd(trailers: Headers | undefined): void {
    this.ends++;
    this.trailers = trailers;
  }
}

interface Decoded extends Pick<Collected, 'body' | 'ends' | 'trailers'> {
  /** Bytes that belong to the message. */
  readonly used: number;
  readonly refused: boolean;
}

/** Decodes pieces one after another, each as a buffer of its own with something before the body. */
function decode(pieces: readonly string[], framing: BodyFraming = 'chunked', length = -1): Decoded {
  const decoder = new BodyDecoder(limits);
  const sink = new Collected();
  decoder.begin(framing, length);
  let used = 0;
  let refused = false;
  try {
    for (const piece of pieces) {
      if (decoder.isDone) break;
      used += decoder.feed(Buffer.from(`__${piece}`, 'latin1'), 2, sink) - 2;
    }
  } catch (error) {
    assert.ok(error instanceof HttpSyntaxError);
    refused = true;
  }
  const { body, ends, trailers } = sink;
  return { body, ends, trailers, used, refused };
}

/** The message is decoded alike whole and byte by byte. */
function decodeTwice(text: string): Decoded {
  const whole = decode([text]);
  const bytes = decode([...text]);
  assert.equal(whole.refused, bytes.refused, 'whole and byte by byte differ');
  if (!whole.refused) assert.deepEqual(whole, bytes);
  return whole;
}

describe('chunked bodies', () => {
  for (const [what, text, body] of [
    ['of several chunks', '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n', 'abcde'],
    ['of no chunk', '0\r\n\r\n', ''],
    [
      'with sizes in either case and leading zeros',
      '00a\r\n0123456789\r\n0A\r\n0123456789\r\n000\r\n\r\n',
      '01234567890123456789',
    ],
    ['with extensions', '3;a;b=c;d="e f"\r\nabc\r\n0;x\r\n\r\n', 'abc'],
    ['with a space before an extension', '3 ;a\r\nabc\r\n0\r\n\r\n', 'abc'],
    ['with line ends inside of chunks', '4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
  ] as const)
    it(`${what} are decoded`, () => {
      const decoded = decodeTwice(text);
      assert.deepEqual([decoded.body, decoded.ends, decoded.used], [body, 1, text.length]);
    });

  it('end where they end: what follows is not touched', () => {
    const text = '1\r\na\r\n0\r\n\r\nGET / HTTP/1.1';
    assert.equal(decodeTwice(text).used, 11);
  });

  it('give their trailers', () => {
    const { trailers, ends } = decodeTwice('0\r\nA: b\r\nGrpc-Status: 0\r\n\r\n');
    assert.deepEqual([trailers, ends], [['a', 'b', 'grpc-status', '0'], 1]);
  });

  it('give no trailers where there are none left', () =>
    assert.equal(decodeTwice('0\r\nContent-Length: 4\r\n\r\n').trailers, undefined));

  for (const [what, text] of [
    ['a size that is not hexadecimal', 'g\r\n'],
    ['an empty size', '\r\n'],
    ['an empty size with an extension', ';a\r\n'],
    ['a size with a prefix', '0x3\r\nabc\r\n'],
    ['a size with a sign', '+3\r\nabc\r\n'],
    ['a negative size', '-3\r\nabc\r\n'],
    ['a size after a space', ' 3\r\nabc\r\n'],
    ['a size before a space', '3 \r\nabc\r\n'],
    ['a size with an underscore', '1_0\r\n'],
    ['a size beyond what can be counted', `${'f'.repeat(14)}\r\n`],
    ['a size line that ends with a bare line feed', '3\nabc\r\n'],
    ['a size line with a bare carriage return', '3\rx\r\nabc\r\n'],
    ['an extension with a bare carriage return', '3;a\rb\r\nabc\r\n'],
    ['an extension with a bare line feed', '3;a\nabc\r\n'],
    ['an extension with a zero byte', '3;\0\r\nabc\r\n'],
    ['a chunk longer than its size', '3\r\nabcd\r\n'],
    ['a chunk shorter than its size', '4\r\nabc\r\n0\r\n\r\n'],
    ['a chunk that ends with a bare line feed', '3\r\nabc\n0\r\n\r\n'],
    ['a chunk that ends with a bare carriage return', '3\r\nabc\r0\r\n\r\n'],
    ['a chunk without an end', '3\r\nabc0\r\n\r\n'],
    ['a last line that ends with a bare line feed', '0\r\n\n'],
    ['a trailer that ends with a bare line feed', '0\r\nA: b\n\r\n'],
    ['a trailer that is continued', '0\r\nA: b\r\n c\r\n\r\n'],
    ['a trailer without a colon', '0\r\nA\r\n\r\n'],
    ['too many trailers', `0\r\n${'a: b\r\n'.repeat(11)}\r\n`],
    ['trailers that are too long', `0\r\na: ${'b'.repeat(1024)}\r\n\r\n`],
    ['an extension that is too long', `3;${'a'.repeat(4096)}\r\nabc\r\n0\r\n\r\n`],
    ['a size line without an end', '0'.repeat(5000)],
    ['extensions that are too long together', `${`1;${'a'.repeat(500)}\r\nx\r\n`.repeat(9)}0\r\n\r\n`],
  ] as const)
    it(`with ${what} are refused`, () => {
      const { refused, ends } = decodeTwice(text);
      assert.deepEqual([refused, ends], [true, 0]);
    });

  it('refused for their length tell 413, refused trailers 431', () => {
    const status = (text: string) => {
      const decoder = new BodyDecoder(limits);
      decoder.begin('chunked', -1);
      try {
        decoder.feed(Buffer.from(text), 0, new Collected());
        return 0;
      } catch (error) {
        return (error as HttpSyntaxError).status;
      }
    };
    assert.equal(status(`1;${'a'.repeat(4200)}\r\n`), 413);
    assert.equal(status(`0\r\na: ${'b'.repeat(1024)}\r\n\r\n`), 431);
  });

  const chunk = fc.record({
    data: fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', '\xff'), minLength: 1, maxLength: 20 }),
    extension: fc.constantFrom('', ';a', ' ;b="c d"', ';x=1;y'),
  });
  const message = fc
    .tuple(fc.array(chunk, { maxLength: 6 }), fc.constantFrom('', 'A: b\r\n', 'A: b\r\nC: d\r\n'))
    .map(([chunks, trailers]) => ({
      body: chunks.map(({ data }) => data).join(''),
      text: `${chunks.map(({ data, extension }) => `${data.length.toString(16)}${extension}\r\n${data}\r\n`).join('')}0\r\n${trailers}\r\n`,
    }));

  it('are decoded alike wherever they are cut', () =>
    fc.assert(
      fc.property(message, fc.array(fc.nat(1000), { maxLength: 8 }), ({ text, body }, cuts) => {
        const whole = decode([text]);
        assert.deepEqual([whole.body, whole.used, whole.ends], [body, text.length, 1]);
        assert.deepEqual(decode(cutAt(text, cuts)), whole);
      }),
    ));

  it('are decoded alike when cut in two at every place', () => {
    const text = '5;a=b\r\nhello\r\n3\r\nyou\r\n0;z\r\nA: b\r\nC: d\r\n\r\nrest';
    const whole = decode([text]);
    for (let i = 1; i < text.length; i++)
      assert.deepEqual(decode([text.slice(0, i), text.slice(i)]), whole, `cut at ${i}`);
  });

  it('whatever comes is refused alike wherever it is cut', () =>
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'0123aF;= \r\n\r\n\t:x'), maxLength: 60 }),
        fc.array(fc.nat(60), { maxLength: 5 }),
        (text, cuts) => {
          const whole = decode([text]);
          const cut = decode(cutAt(text, cuts));
          // What is wrong may be seen sooner or later, but not passed over.
          if (whole.ends === 1) assert.deepEqual(cut, whole);
          else assert.equal(cut.ends, 0);
          assert.equal(decode([`${text}!`.repeat(2)]).refused, decode([...`${text}!`.repeat(2)]).refused);
        },
      ),
      { numRuns: 500 },
    ));
});

function cutAt(text: string, cuts: readonly number[]): string[] {
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
  return places.slice(1).map((place, i) => text.slice(places[i], place));
}

describe('bodies of a known length', () => {
  it('end after that many bytes', () => {
    const { body, used, ends } = decode(['abc', 'defgh'], 'length', 5);
    assert.deepEqual([body, used, ends], ['abcde', 5, 1]);
  });

  it('that are cut off have no end', () => {
    const decoder = new BodyDecoder(limits);
    const sink = new Collected();
    decoder.begin('length', 5);
    decoder.feed(Buffer.from('abc'), 0, sink);
    assert.equal(decoder.end(sink), false);
    assert.deepEqual([decoder.isDone, sink.ends], [false, 0]);
  });
});

describe('bodies that end with the connection', () => {
  it('are complete then and not before', () => {
    const decoder = new BodyDecoder(limits);
    const sink = new Collected();
    decoder.begin('close', -1);
    assert.equal(decoder.feed(Buffer.from('abc'), 0, sink), 3);
    assert.equal(decoder.isDone, false);
    assert.equal(decoder.end(sink), true);
    assert.deepEqual([sink.body, sink.ends], ['abc', 1]);
    assert.equal(decoder.end(sink), false);
    assert.equal(sink.ends, 1);
  });
});

it('a message without a body is complete at once', () => {
  const decoder = new BodyDecoder(limits);
  decoder.begin('none', 0);
  assert.equal(decoder.isDone, true);
  assert.equal(decoder.end(new Collected()), false);
});

it('a decoder that was left in the middle begins anew', () => {
  const decoder = new BodyDecoder(limits);
  const sink = new Collected();
  decoder.begin('chunked', -1);
  decoder.feed(Buffer.from('5;x\r\nab'), 0, sink);
  decoder.begin('chunked', -1);
  decoder.feed(Buffer.from('1\r\nc\r\n0\r\n\r\n'), 0, sink);
  assert.deepEqual([sink.body, sink.ends], ['abc', 1]);
});
