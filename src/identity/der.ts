// A small strict reader and writer of DER (ITU-T X.690): just enough for the certificates and signing requests of a mesh.
// Strict because what it reads may come from an attacker: definite minimal lengths, no overlap, nothing beyond the end.

export const tag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
  utcTime: 0x17,
  generalizedTime: 0x18,
  boolean: 0x01,
} as const;

/** One element: its tag and where its content lies in `bytes`. */
export interface DerElement {
  readonly tag: number;
  readonly bytes: Uint8Array;
  /** Offset of the tag. */
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
}

export class DerError extends Error {
  override readonly name = 'DerError';
}

/** Reads the element at `offset`; it must lie wholly before `limit`. */
export function readElement(bytes: Uint8Array, offset: number, limit: number = bytes.length): DerElement {
  if (offset + 2 > limit) throw new DerError('element is cut off');
  const first = bytes[offset]!;
  if ((first & 0x1f) === 0x1f) throw new DerError('tag of more than one byte');
  let length = bytes[offset + 1]!;
  let contentStart = offset + 2;
  if (length >= 0x80) {
    const size = length & 0x7f;
    if (size === 0 || size > 3) throw new DerError('length is indefinite or too large');
    if (contentStart + size > limit) throw new DerError('length is cut off');
    length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + bytes[contentStart + i]!;
    if (length < 0x80 || bytes[contentStart] === 0) throw new DerError('length is not minimal');
    contentStart += size;
  }
  const end = contentStart + length;
  if (end > limit) throw new DerError('content is cut off');
  return { tag: first, bytes, start: offset, contentStart, end };
}

/** Reads the one element that fills `bytes`. */
export function readWhole(bytes: Uint8Array): DerElement {
  const element = readElement(bytes, 0);
  if (element.end !== bytes.length) throw new DerError('bytes follow the element');
  return element;
}

/** The elements inside a constructed one. */
export function childrenOf(element: DerElement): DerElement[] {
  const children: DerElement[] = [];
  for (let at = element.contentStart; at < element.end;) {
    const child = readElement(element.bytes, at, element.end);
    children.push(child);
    at = child.end;
  }
  return children;
}

export function contentOf(element: DerElement): Uint8Array {
  return element.bytes.subarray(element.contentStart, element.end);
}

/** Throws unless `element` is there and has the tag. */
export function expectTag(element: DerElement | undefined, wanted: number, what: string): DerElement {
  if (element === undefined || element.tag !== wanted) throw new DerError(`${what} expected`);
  return element;
}

/** Reads UTCTime or GeneralizedTime in the forms that RFC 5280 section 4.1.2.5 allows; milliseconds since 1970. */
export function readTime(element: DerElement): number {
  const text = Buffer.from(contentOf(element)).toString('latin1');
  const match =
    element.tag === tag.utcTime
      ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
      : element.tag === tag.generalizedTime
        ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
        : null;
  if (match === null) throw new DerError('time expected');
  const [year, month, day, hour, minute, second] = match.slice(1) as [string, string, string, string, string, string];
  const fullYear = element.tag === tag.generalizedTime ? year : Number(year) >= 50 ? `19${year}` : `20${year}`;
  const iso = `${fullYear}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const ms = Date.parse(iso);
  // What does not exist, such as 30 February, is NaN or comes back as another day.
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== iso) throw new DerError('time that exists expected');
  return ms;
}

/** Writes one element around its content. */
export function writeElement(elementTag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const header = body.length < 0x80 ? [elementTag, body.length] : [elementTag, 0x80 | length.length, ...length];
  return Buffer.concat([Buffer.from(header), body]);
}

/** Wraps DER in PEM (RFC 7468) with the label, such as `CERTIFICATE`. */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** Every PEM block with the label, decoded, in order. */
export function fromPem(label: string, text: string): Buffer[] {
  const blocks = text.matchAll(new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`, 'g'));
  return [...blocks].map((block) => Buffer.from(block[1]!, 'base64'));
}
