// How many files and connections this process may have open, and what follows from a small number: Node reads modules all at
// once, which alone takes more than a limit of 64 allows.
import { readFileSync } from 'node:fs';

/** The limit of this process (`ulimit -n`); Infinity where it is not known. */
export function findOpenFileLimit(): number {
  try {
    const line = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return line === null ? Infinity : Number(line[1]);
  } catch {
    return Infinity; // not Linux
  }
}

/** Below this modules are read one after another. */
const enoughForModules = 256;
const imports = /^(?:import|export)\b[^'";]*?(?:from\s*)?['"]([^'"\n]+)['"]/gm;

/**
 * Gets a module and everything it imports loaded with few files open at a time, where the limit is low; elsewhere it does
 * nothing, and the import that follows does all.
 */
export async function prepareImport(url: string): Promise<void> {
  if (findOpenFileLimit() < enoughForModules) await loadInTurn(url, new Set());
}

/** Imported modules first: then each import opens one file. */
async function loadInTurn(url: string, seen: Set<string>): Promise<void> {
  if (seen.has(url) || !/^file:.*\.m?js$/.test(url)) return;
  seen.add(url);
  for (const [, specifier = ''] of read(url).matchAll(imports)) {
    const imported = specifier.startsWith('.') ? new URL(specifier, url).href : findPackage(specifier);
    if (imported !== undefined) await loadInTurn(imported, seen);
  }
  // What stood in a comment may not exist; what is really missing is told when it is imported in earnest.
  await import(url).catch(() => undefined);
}

function read(url: string): string {
  try {
    return readFileSync(new URL(url), 'utf8');
  } catch {
    return '';
  }
}

function findPackage(specifier: string): string | undefined {
  try {
    return import.meta.resolve(specifier);
  } catch {
    return undefined; // whoever imports it finds it in a place of its own
  }
}
