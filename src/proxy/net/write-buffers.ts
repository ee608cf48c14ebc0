// Buffers in which connections collect what they are about to write, lent for as long as a write takes.

/** Size of a lent buffer. */
export const writeBufferBytes = 32 * 1024;
/** Buffers that are kept for the next borrower; more come and go with load. */
const mostKept = 16;

const kept: Buffer[] = [];

export function borrowWriteBuffer(): Buffer {
  return kept.pop() ?? Buffer.allocUnsafeSlow(writeBufferBytes);
}

/** Takes a buffer back once nobody reads it any more. */
export function returnWriteBuffer(buffer: Buffer): void {
  if (kept.length < mostKept) kept.push(buffer);
}
