// What an HTTP/2 peer is told to do, frame by frame, right or wrong: the words of `python/http2_peer.py`, which plays them.

export type Field = readonly [name: string, value: string];

/** `stream` without a number is a new one for `headers`, else the last; at a server that of the request. */
export type FrameStep =
  | {
      readonly do: 'headers';
      readonly fields?: readonly Field[];
      /** A header block as it is, in hexadecimal, instead of fields. */
      readonly block?: string;
      readonly end?: boolean;
      /** Cut into a HEADERS frame and CONTINUATION frames of at most so many bytes. */
      readonly pieces?: number;
      /** False: END_HEADERS is never set. */
      readonly whole?: boolean;
      readonly stream?: number;
    }
  | {
      readonly do: 'data';
      readonly text?: string;
      readonly bytes?: number;
      readonly end?: boolean;
      readonly stream?: number;
    }
  /** DATA frames of 16 KiB without regard to windows. */
  | { readonly do: 'body'; readonly bytes: number; readonly end?: boolean; readonly stream?: number }
  | { readonly do: 'reset'; readonly code?: number; readonly stream?: number }
  | { readonly do: 'window'; readonly increment: number; readonly stream?: number }
  | { readonly do: 'settings'; readonly values: readonly (readonly [id: number, value: number])[] }
  | { readonly do: 'ping' }
  | { readonly do: 'priority'; readonly on?: number; readonly stream?: number }
  | { readonly do: 'goaway'; readonly code?: number; readonly last?: number }
  | { readonly do: 'push'; readonly promised: number; readonly fields: readonly Field[] }
  | {
      readonly do: 'frame';
      readonly type: number;
      readonly flags?: number;
      readonly stream?: number;
      /** In hexadecimal. */
      readonly payload?: string;
    }
  | { readonly do: 'raw'; readonly hex: string }
  | { readonly do: 'repeat'; readonly times: number; readonly steps: readonly FrameStep[] }
  /** The same bytes again and again, many in one write. */
  | { readonly do: 'flood'; readonly hex: string; readonly times: number }
  | { readonly do: 'pause'; readonly ms: number }
  | { readonly do: 'stop_reading' }
  | { readonly do: 'go_on_reading' }
  | { readonly do: 'await'; readonly what: 'head' | 'end'; readonly ms?: number; readonly stream?: number }
  | { readonly do: 'await_all'; readonly ms?: number }
  | { readonly do: 'await_reset'; readonly ms?: number; readonly stream?: number }
  /** Our FIN. */
  | { readonly do: 'finish' }
  | { readonly do: 'break' };

/** Numbers of frame types (RFC 9113 section 6). */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

/** A frame's bytes in hexadecimal. */
export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): string {
  const body = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]).toString('hex');
}

/** A field of a header block in HPACK, without indexing and without Huffman coding (RFC 7541 section 6.2.2). */
export function literal(name: string, value: string): string {
  return `00${text(name)}${text(value)}`;
}

/** The same, but put into the dynamic table (section 6.2.1). */
export function indexedLiteral(name: string, value: string): string {
  return `40${text(name)}${text(value)}`;
}

/** A header block of fields that are not indexed. */
export const block = (fields: readonly Field[]): string => fields.map(([name, value]) => literal(name, value)).join('');

function text(value: string): string {
  return integer(value.length, 7) + Buffer.from(value, 'latin1').toString('hex');
}

/** An integer in HPACK with a prefix of so many bits, those before it zero (section 5.1). */
export function integer(value: number, prefixBits: number): string {
  const limit = 2 ** prefixBits - 1;
  const bytes = [];
  if (value < limit) bytes.push(value);
  else {
    bytes.push(limit);
    let rest = value - limit;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    bytes.push(rest);
  }
  return Buffer.from(bytes).toString('hex');
}
