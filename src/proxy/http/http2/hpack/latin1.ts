// The two methods of Node's buffers that give and take latin1 text, a character a byte, without looking up an encoding
// first. All versions of Node have them and its own HTTP client lives on them; only its type declarations do not.

interface Latin1Bytes {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, at: number): number;
}

export function latin1Slice(bytes: Buffer, start: number, end: number): string {
  return (bytes as unknown as Latin1Bytes).latin1Slice(start, end);
}

/** Writes `text` as far as there is room. */
export function latin1Write(text: string, bytes: Buffer, at: number): void {
  (bytes as unknown as Latin1Bytes).latin1Write(text, at);
}

/** The same text in memory of its own. */
export function latin1Copy(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  return latin1Slice(bytes, 0, bytes.length);
}
