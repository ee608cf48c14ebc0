// The repository as its own tests see it: which files are committed, and what they say.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');

/** Files that are committed, or would be by `git add`, and exist; relative to the repository. */
export function listFiles(): string[] {
  return execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(root, file)));
}

export function readText(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** The text of a file; undefined where there is none. */
export function findText(file: string): string | undefined {
  return existsSync(join(root, file)) ? readText(file) : undefined;
}

/** One entry of package-lock.json. */
export interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly engines?: { readonly node?: string };
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Packages of the lock by the folder that they are installed into; the key of the project itself is empty. */
export function readLock(): ReadonlyMap<string, LockedPackage> {
  const lock = JSON.parse(readText('package-lock.json')) as { packages: Record<string, LockedPackage> };
  return new Map(Object.entries(lock.packages));
}

export function readManifest(): { readonly dependencies: Readonly<Record<string, string>> } {
  return JSON.parse(readText('package.json')) as { dependencies: Record<string, string> };
}
