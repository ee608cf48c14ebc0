// Where objects come from. A source keeps the last good version of what becomes invalid, so that a slip of the pen never
// takes away what worked.
import type { Diagnostic } from '../api/diagnostic.js';
import type { MeshObject } from '../api/object.js';
import type { RefusedIdentity } from '../api/validate.js';

/** An object whose present version is refused. */
export interface RefusedObject extends RefusedIdentity {
  /** Whether an older version of it is in force. */
  readonly lastGoodInForce: boolean;
}

/** Everything that a source holds at one moment. */
export interface SourceState {
  /** Objects in force, oldest first. */
  readonly objects: readonly MeshObject[];
  readonly refused: readonly RefusedObject[];
  readonly diagnostics: readonly Diagnostic[];
}

export interface Source {
  /** Reads everything once and begins to watch. */
  start(): Promise<SourceState>;
  /** Calls back at every change after `start`. */
  watch(watcher: (state: SourceState) => void): () => void;
  close(): Promise<void>;
}
