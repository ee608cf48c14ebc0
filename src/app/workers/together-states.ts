// Whether workers together serve a workload: at first when all do, and then as long as one does, since a port that one worker
// serves is open.
import type { ProxyState } from '../../proxy/data-plane.js';

export class TogetherStates {
  readonly #count: number;
  readonly #onChange: (state: ProxyState) => void;
  /** By workload and worker. */
  readonly #states = new Map<string, Map<number, ProxyState>>();
  readonly #told = new Map<string, ProxyState>();

  /** @param count workers that there should be */
  constructor(count: number, onChange: (state: ProxyState) => void) {
    this.#count = count;
    this.#onChange = onChange;
  }

  set(worker: number, state: ProxyState): void {
    let states = this.#states.get(state.key);
    if (states === undefined) this.#states.set(state.key, (states = new Map()));
    states.set(worker, state);
    this.#tell(state.key, states);
  }

  /** A worker is gone. */
  remove(worker: number): void {
    for (const [key, states] of this.#states) if (states.delete(worker)) this.#tell(key, states);
  }

  /** A workload is gone. */
  forget(key: string): void {
    this.#states.delete(key);
    this.#told.delete(key);
  }

  #tell(key: string, states: ReadonlyMap<number, ProxyState>): void {
    const all = [...states.values()];
    const told = this.#told.get(key);
    const serving = all.filter(({ ready }) => ready).length;
    const ready = told?.ready === true ? serving > 0 : serving === this.#count;
    const problem = ready ? undefined : all.find((state) => state.problem !== undefined)?.problem;
    if (told?.ready === ready && told.problem === problem) return;
    if (told === undefined && !ready && problem === undefined) return; // nothing to say yet
    const state = { key, ready, problem };
    this.#told.set(key, state);
    this.#onChange(state);
  }
}
