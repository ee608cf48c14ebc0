// Reads mesh.yaml while the mesh runs: again after every change, one reading at a time, and says what cannot change now.
import { watch, type FSWatcher } from 'chokidar';
import { readFileSync } from 'node:fs';
import type { Diagnostic } from '../../api/diagnostic.js';
import type { MeshFile } from '../../api/mesh-file.js';
import { validateMeshFile } from '../../api/validate.js';
import { meshFileName } from '../../sources/directory.js';
import { messageOf } from '../../util/errors.js';

/** A mesh as the file describes it, or why it is refused. */
export type ReadMeshFile = ReturnType<typeof validateMeshFile>;

export interface MeshFileWatchOptions {
  /** Takes what the file says now; the next change waits until it is done. */
  readonly onChange: (read: ReadMeshFile) => Promise<void>;
  readonly onFailure: (reason: string) => void;
}

/** How long mesh.yaml must have been left alone before it is read again. */
const quietMs = 100;

export class MeshFileWatch {
  readonly #watcher: FSWatcher;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(file: string, { onChange, onFailure }: MeshFileWatchOptions) {
    this.#watcher = watch(file, { ignoreInitial: true });
    const read = () => (this.#working = this.#working.then(() => onChange(readMeshFile(file))));
    this.#watcher.on('all', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(read, quietMs);
    });
    this.#watcher.on('error', (error) => onFailure(messageOf(error)));
  }

  /** Stops watching; resolves when the last change has been taken. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#watcher.close();
    await this.#working;
  }
}

/** Reads and validates mesh.yaml; a file that cannot be read is a diagnostic too. */
export function readMeshFile(file: string): ReadMeshFile {
  try {
    return validateMeshFile(meshFileName, readFileSync(file, 'utf8'));
  } catch (error) {
    return { diagnostics: [meshDiagnostic('', `cannot be read: ${messageOf(error)}`)] };
  }
}

/** Changes that only a new start can make. */
export function whyNotWhileRunning(now: MeshFile, wanted: MeshFile): Diagnostic[] {
  const found: Diagnostic[] = [];
  if (wanted.meshConfig.trustDomain !== now.meshConfig.trustDomain)
    found.push(
      meshDiagnostic(
        'meshConfig.trustDomain',
        'cannot change while the mesh runs, because every identity changes with it; stop `lateen up` and start it again',
      ),
    );
  if (JSON.stringify(wanted.control) !== JSON.stringify(now.control))
    found.push(meshDiagnostic('control', 'cannot change while the mesh runs; stop `lateen up` and start it again'));
  return found;
}

function meshDiagnostic(path: string, message: string): Diagnostic {
  return { severity: 'error', code: 'LAT0006', object: '', file: meshFileName, line: 0, path, message };
}
