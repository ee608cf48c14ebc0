// Declares the two methods of Node's buffers that take and give latin1 text (a character a byte) without looking up an
// encoding first. All versions of Node have them and its own HTTP client lives on them; only its type declarations do not.

declare global {
  interface Buffer {
    latin1Slice(start: number, end: number): string;
    latin1Write(text: string, at: number): number;
  }
}

export {};
