// Cuts a stream of bytes into lines of bounded length, for output of processes that are not ours.

/** Longest line that is kept whole; what goes beyond starts a new line. */
const longestLine = 16 * 1024;

/** Feed it chunks; it calls back once a line, without the line end. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      this.#hold(text.slice(start, end));
      const line = this.#rest;
      this.#rest = '';
      this.#onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
      start = end + 1;
    }
    this.#hold(text.slice(start));
  }

  /** Keeps text that belongs to one line, and gives out what is too much. */
  #hold(text: string): void {
    this.#rest += text;
    while (this.#rest.length > longestLine) {
      this.#onLine(this.#rest.slice(0, longestLine));
      this.#rest = this.#rest.slice(longestLine);
    }
  }

  /** Gives out what is left when the stream ends without a line end. */
  end(): void {
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }
}
