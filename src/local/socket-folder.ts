// A folder for the unix sockets of one run: short enough for every system, and nobody else's.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../util/errors.js';

/** Longest path of a socket that every system takes; Node binds longer ones silently somewhere else. */
const longestSocketPath = 100;
const longestSocketName = 'control.sock';

/** Makes the folder (0700) below $XDG_RUNTIME_DIR or the temporary folder. */
export function createSocketFolder(): string {
  const candidates = [process.env['XDG_RUNTIME_DIR'], tmpdir(), '/tmp'].filter(
    (path): path is string => path !== undefined && path !== '',
  );
  for (const base of candidates) {
    if (join(base, 'lateen-XXXXXX', longestSocketName).length > longestSocketPath) continue;
    try {
      return mkdtempSync(join(base, 'lateen-'));
    } catch {
      // not there or not ours to write: the next one
    }
  }
  throw new UserError(
    `no folder for sockets: none of ${candidates.join(', ')} can be written and is short enough; set XDG_RUNTIME_DIR to one that is`,
  );
}
