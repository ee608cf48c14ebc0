// The Store: the only mutable thing between what users write and what proxies receive. It has one writer, the composition
// root of the control plane; everybody else reads snapshots.
import { isDeepStrictEqual } from 'node:util';
import type { MeshConfig } from '../api/mesh-config.js';
import type { MeshObject } from '../api/object.js';
import type { Service } from './service.js';
import { createSnapshot, type Snapshot, type SnapshotParts } from './snapshot.js';
import type { Workload } from './workload.js';

/** What a source may replace; absent parts stay. */
export interface StoreChange {
  readonly meshConfig?: MeshConfig;
  readonly services?: readonly Service[];
  readonly workloads?: readonly Workload[];
  /** Every accepted object, oldest first. */
  readonly objects?: readonly MeshObject[];
}

export class Store {
  #parts: SnapshotParts;
  #snapshot: Snapshot;
  readonly #watchers = new Set<(snapshot: Snapshot) => void>();

  constructor(meshConfig: MeshConfig) {
    this.#parts = { meshConfig, services: [], workloads: [], objects: [] };
    this.#snapshot = createSnapshot(this.#parts);
  }

  /** The present state. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /**
   * Takes a change; what equals the present keeps its identity, so that nothing is compiled again for it.
   * Watchers are called at once and only where something changed.
   */
  apply(change: StoreChange): void {
    const parts: SnapshotParts = {
      meshConfig: keepEqual(this.#parts.meshConfig, change.meshConfig),
      services: keepEqualItems(this.#parts.services, change.services, (service) => service.host),
      workloads: keepEqualItems(this.#parts.workloads, change.workloads, (workload) => workload.uid),
      objects: keepSameItems(this.#parts.objects, change.objects),
    };
    const keys = ['meshConfig', 'services', 'workloads', 'objects'] as const;
    if (keys.every((key) => parts[key] === this.#parts[key])) return;
    this.#parts = parts;
    this.#snapshot = createSnapshot(parts, this.#snapshot);
    for (const watcher of this.#watchers) watcher(this.#snapshot);
  }

  /** Calls back at every new snapshot until the returned function is called. */
  watch(watcher: (snapshot: Snapshot) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

function keepEqual<T>(old: T, next: T | undefined): T {
  return next === undefined || isDeepStrictEqual(old, next) ? old : next;
}

function keepEqualItems<T>(
  old: readonly T[],
  next: readonly T[] | undefined,
  keyOf: (item: T) => string,
): readonly T[] {
  if (next === undefined) return old;
  const known = new Map(old.map((item) => [keyOf(item), item]));
  return keepSameItems(
    old,
    next.map((item) => {
      const before = known.get(keyOf(item));
      return before !== undefined && isDeepStrictEqual(before, item) ? before : item;
    }),
  );
}

function keepSameItems<T>(old: readonly T[], next: readonly T[] | undefined): readonly T[] {
  return next === undefined || (next.length === old.length && next.every((item, i) => item === old[i])) ? old : next;
}
