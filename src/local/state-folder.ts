// The folder DIR/.lateen: what outlives a run of the mesh, written whole or not at all, and the lock that keeps a second
// `up` away.
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.js';
import { codeOf, messageOf, UserError } from '../util/errors.js';
import { isRunning, thisProcess, type ProcessId } from './process-table.js';

export const stateFolderName = '.lateen';

/** Every file that is kept, and who may read it. */
const files = {
  /** Private key and root certificate of the authority. */
  authority: { name: 'authority.pem', mode: 0o600 },
  /** Objects that were in force last. */
  lastGood: { name: 'last-good.json', mode: 0o600 },
  /** What runs now. */
  run: { name: 'run.json', mode: 0o600 },
} as const;

export type StateFile = keyof typeof files;

export class StateFolder {
  readonly path: string;

  /** @param directory the folder of mesh.yaml */
  constructor(directory: string) {
    this.path = join(directory, stateFolderName);
  }

  /** Makes the folder where it is missing, for nobody but the user. */
  create(): void {
    try {
      mkdirSync(this.path, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST')
        throw new UserError(`cannot make ${this.path}: ${messageOf(error)}; lateen keeps its state there`);
    }
    const status = lstatSync(this.path);
    if (!status.isDirectory())
      throw new UserError(`${this.path} is not a folder; remove it, lateen keeps its state there`);
    if (process.getuid !== undefined && status.uid !== process.getuid())
      throw new UserError(`${this.path} belongs to another user; run lateen as that user, or remove the folder`);
    if ((status.mode & 0o077) !== 0) chmodSync(this.path, 0o700);
    // Whole or not at all: with an empty one the authority's key would be committed.
    const ignore = join(this.path, '.gitignore');
    if (!existsSync(ignore)) writeFileAtomic(ignore, '*\n', 0o600);
  }

  /** The content of a file; undefined where there is none. */
  read(file: StateFile): string | undefined {
    const path = join(this.path, files[file].name);
    try {
      const status = lstatSync(path);
      if (!status.isFile()) throw new UserError(`${path} is not a plain file; remove it`);
      if (file === 'authority' && (status.mode & 0o077) !== 0)
        throw new UserError(
          `${path} can be read by others; it holds the key of the authority: run \`chmod 600 ${path}\`, or remove it to get a new one`,
        );
      return readFileSync(path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  write(file: StateFile, content: string): void {
    writeFileAtomic(join(this.path, files[file].name), content, files[file].mode);
  }

  remove(file: StateFile): void {
    try {
      unlinkSync(join(this.path, files[file].name));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }

  /**
   * Takes the lock for this process; a lock of a process that is gone is taken over.
   * @throws UserError where another `up` runs
   */
  lock(): void {
    const path = join(this.path, 'lock');
    const own = join(this.path, `.lock.${process.pid}`);
    writeFileSync(own, JSON.stringify(thisProcess()), { mode: 0o600 });
    try {
      // A link appears with its content or not at all, and only where nothing stands: two cannot both succeed.
      for (let attempt = 0; ; attempt++) {
        try {
          linkSync(own, path);
          return;
        } catch (error) {
          if (codeOf(error) !== 'EEXIST') throw error;
        }
        const holder = readHolder(path);
        if (holder !== undefined && isRunning(holder))
          throw new UserError(
            `a mesh of this folder is running already (process ${holder.pid}); stop it with Ctrl-C in its terminal or \`kill ${holder.pid}\``,
          );
        if (attempt > 10) throw new UserError(`cannot take the lock ${path}; remove it if no mesh of this folder runs`);
        removeIfSame(path, holder);
      }
    } finally {
      unlinkSync(own);
    }
  }

  unlock(): void {
    const path = join(this.path, 'lock');
    if (readHolder(path)?.pid === process.pid) unlinkSync(path);
  }
}

function readHolder(path: string): ProcessId | undefined {
  try {
    const parsed = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessId>;
    return typeof parsed.pid === 'number' && typeof parsed.startTime === 'string'
      ? { pid: parsed.pid, startTime: parsed.startTime }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Removes a lock that was left behind, unless somebody has taken it over meanwhile. */
function removeIfSame(path: string, holder: ProcessId | undefined): void {
  const now = readHolder(path);
  if (now?.pid !== holder?.pid || now?.startTime !== holder?.startTime) return;
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
