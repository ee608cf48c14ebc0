// How many connections the process takes at a time: so many that it can still open one onwards for each. Without it the limit of
// open files would decide, which fails in whatever happens to need a file next.
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { findOpenFileLimit } from '../../util/open-files.js';

/** Files that may be opened in passing: logs, sockets to the control plane. */
const spareFiles = 10;
/** From this limit on what the process itself has open does not matter. */
const large = 65_536;

export class ConnectionLimit {
  readonly #openFileLimit: number;
  readonly #countOpenFiles: () => number;
  readonly #filesEach: number;
  #accepted = 0;
  #onward = 0;
  #own = 0;

  /** @param filesEach files that a connection takes: its own, and the one onwards */
  constructor(openFileLimit = findOpenFileLimit(), countOpenFiles = countFiles, filesEach = 2) {
    this.#filesEach = filesEach;
    this.#openFileLimit = openFileLimit;
    this.#countOpenFiles = countOpenFiles;
  }

  /** Looks at what is open besides connections; called when that has become more. */
  measure(): void {
    if (this.#openFileLimit < large)
      this.#own = Math.max(this.#own, this.#countOpenFiles() - this.#filesEach * this.#accepted);
  }

  get most(): number {
    return Math.max(1, Math.floor((this.#openFileLimit - this.#own - spareFiles) / this.#filesEach));
  }

  /** Counts a connection until it is closed; false where there is no room for it. */
  take(socket: Socket): boolean {
    if (this.#accepted >= this.most) return false;
    this.#accepted++;
    socket.once('close', () => this.#accepted--);
    return true;
  }

  /**
   * Whether one more connection to a server may be opened beside those that are there. One connection of a caller may carry a
   * hundred requests: without this their connections onwards would leave no file for the next caller.
   */
  get hasRoomOnward(): boolean {
    return this.#onward < this.most;
  }

  /** Counts a connection to a server until it is closed. */
  countOnward(socket: Socket): void {
    this.#onward++;
    socket.once('close', () => this.#onward--);
  }
}

function countFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 100; // not Linux
  }
}

/** Of this process, whatever number of workloads it carries. */
export const connectionLimit = new ConnectionLimit();
