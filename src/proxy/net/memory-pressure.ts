// How full the memory of the process is, and what is given up for that, in Envoy's steps (its overload manager): near the end
// connections close after their next answer, at the end new requests are refused, so that those under way can be finished.
import { getHeapStatistics } from 'node:v8';

/** Share of the memory from which a step is taken, as Envoy advises at an edge. */
const closingAt = 0.95;
const refusingAt = 0.98;
/** A step is taken back only this far below, so that nothing flaps. */
const releaseBelow = 0.03;
/** How often it is looked, while there is room and while there is little. */
const calmMs = 1000;
const tenseMs = 250;
const tenseAt = 0.8;
/** A limit above this is none: without a cgroup some systems report the largest number they have. */
const largestLimit = 2 ** 50;

/** What is given up. */
export type Relief = 'nothing' | 'keep-alive' | 'new requests';

export class MemoryPressure {
  readonly #read: () => number;
  readonly #watchers = new Set<(share: number, relief: Relief) => void>();
  #timer: NodeJS.Timeout | undefined;
  #relief: Relief = 'nothing';

  /** @param read the share of the memory that is used, from 0 to 1 */
  constructor(read: () => number = readShare) {
    this.#read = read;
  }

  /** Whether connections are to be closed after their next answer. */
  get closesConnections(): boolean {
    return this.#relief !== 'nothing';
  }

  /** Whether new requests are to be refused. */
  get refusesRequests(): boolean {
    return this.#relief === 'new requests';
  }

  /** Looks from now on, as long as somebody watches; the returned function stops. */
  watch(watcher: (share: number, relief: Relief) => void): () => void {
    this.#watchers.add(watcher);
    if (this.#timer === undefined) this.#lookAgain(0);
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#relief = 'nothing';
    };
  }

  /** Looks now. */
  look(): number {
    const share = this.#read();
    const isHeld = (relief: Relief, at: number) => share >= (this.#relief === relief ? at - releaseBelow : at);
    this.#relief = isHeld('new requests', refusingAt)
      ? 'new requests'
      : isHeld('keep-alive', closingAt)
        ? 'keep-alive'
        : 'nothing';
    for (const watcher of this.#watchers) watcher(share, this.#relief);
    return share;
  }

  #lookAgain(afterMs: number): void {
    this.#timer = setTimeout(() => this.#lookAgain(this.look() > tenseAt ? tenseMs : calmMs), afterMs);
    this.#timer.unref();
  }
}

/** The fuller one of the two: objects against the limit of the engine, and everything against the limit of the container. */
function readShare(): number {
  const { used_heap_size: used, heap_size_limit: most } = getHeapStatistics();
  const limit = process.constrainedMemory();
  const hasLimit = limit !== undefined && limit > 0 && limit < largestLimit;
  return Math.max(used / most, hasLimit ? process.memoryUsage.rss() / limit : 0);
}

/** Of this process, whatever number of workloads it carries. */
export const memoryPressure = new MemoryPressure();
