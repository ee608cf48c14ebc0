// How many frames of a kind that only costs us a peer may send: a bucket that leaks with time and fills with every such frame.

export class FrameBudget {
  readonly #capacity: number;
  readonly #perSecond: number;
  #left: number;
  #atMs = performance.now();

  /**
   * @param capacity how many may come at once
   * @param perSecond how many may come for ever
   */
  constructor(capacity: number, perSecond: number) {
    this.#capacity = capacity;
    this.#perSecond = perSecond;
    this.#left = capacity;
  }

  /** Takes one; false where the peer has had too many. */
  take(): boolean {
    if (this.#left < 1) {
      const nowMs = performance.now();
      this.#left = Math.min(this.#capacity, this.#left + ((nowMs - this.#atMs) / 1000) * this.#perSecond);
      this.#atMs = nowMs;
      if (this.#left < 1) return false;
    }
    this.#left--;
    return true;
  }

  /** Something useful came, which such frames may accompany. */
  give(amount: number): void {
    this.#left = Math.min(this.#capacity, this.#left + amount);
  }
}
