// How long to wait before trying again: doubles from the first delay to the longest, with jitter against herds.

export interface BackoffOptions {
  /** First delay in milliseconds. */
  readonly firstMs: number;
  /** Longest delay in milliseconds, before jitter. */
  readonly longestMs: number;
  /** Uniform random number in [0, 1); injected so that tests are exact. */
  readonly random?: () => number;
}

/** Delays for one thing that keeps failing. */
export class Backoff {
  readonly #options: BackoffOptions;
  #nextMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  /** The next delay in milliseconds: between the full step and four fifths of it. */
  next(): number {
    const step = this.#nextMs;
    this.#nextMs = Math.min(step * 2, this.#options.longestMs);
    return step * (1 - 0.2 * (this.#options.random ?? Math.random)());
  }

  /** Starts again from the first delay; called when the thing works. */
  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }
}
