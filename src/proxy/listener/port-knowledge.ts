// What was learned of a port whose protocol nobody declared. It decides how long a silent connection is waited for, and nothing
// else: each connection is read as what it brings, so what was learned wrongly costs time at most, and mends itself.
import type { LearnedProtocol } from '../../telemetry/learned-ports.js';

/** How long the server is left alone where connections are known to begin with a request: idle ones are opened ahead too. */
const requestWaitMs = 1000;

export class PortKnowledge {
  #learned: LearnedProtocol | undefined;
  #sinceMs = 0;
  /** Whether a server has ever spoken first, whatever was learned after that. */
  #isSpokenFirst = false;

  /** Undefined until a connection has told something. */
  get learned(): LearnedProtocol | undefined {
    return this.#learned;
  }

  /** Wall time since which it is so. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  get isHttp(): boolean {
    return this.#learned === 'http' || this.#learned === 'http2';
  }

  note(learned: LearnedProtocol, nowMs: number): void {
    if (learned === 'server-first') this.#isSpokenFirst = true;
    // A client that is quicker than its server for once has not changed the protocol.
    if (learned === this.#learned || (learned === 'client-first' && this.#learned === 'server-first')) return;
    this.#learned = learned;
    this.#sinceMs = nowMs;
  }

  /**
   * How long a client may be silent before its server is given the word.
   * @param unknownMs for a port of which nothing is known
   */
  waitMs(unknownMs: number): number {
    if (this.#learned === 'server-first') return 0;
    return this.isHttp && !this.#isSpokenFirst ? Math.max(requestWaitMs, unknownMs) : unknownMs;
  }
}
