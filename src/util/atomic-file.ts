// Writes a file whole or not at all: a crash at any moment leaves the old content or the new, never a mixture.
import * as nodeFs from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The few calls that a write takes, in their order; tests replace them to crash at each. */
export type AtomicFs = Pick<
  typeof nodeFs,
  'openSync' | 'writeSync' | 'fsyncSync' | 'closeSync' | 'renameSync' | 'unlinkSync'
>;

const { O_CREAT, O_EXCL, O_WRONLY, O_RDONLY, O_NOFOLLOW } = nodeFs.constants;

/**
 * Replaces `path` by `content`.
 *
 * The new content goes to a temporary file in the same folder, reaches the disk, and takes the name in one step; then the
 * folder's entry is made durable. Left-over temporary files of a crash are harmless and are overwritten by the next write
 * of the same process number.
 *
 * @param mode permission bits of the new file, such as 0o600
 * @throws the system's error (ENOSPC, EROFS, ...); the old file is then untouched
 */
export function writeFileAtomic(path: string, content: string | Uint8Array, mode: number, fs: AtomicFs = nodeFs): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  removeIfThere(temporary, fs);
  const file = fs.openSync(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode);
  try {
    try {
      writeFully(file, typeof content === 'string' ? Buffer.from(content) : content, fs);
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
    fs.renameSync(temporary, path);
  } catch (error) {
    removeIfThere(temporary, fs);
    throw error;
  }
  syncFolder(dirname(path), fs);
}

function writeFully(file: number, bytes: Uint8Array, fs: AtomicFs): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(file, bytes, at);
}

function removeIfThere(path: string, fs: AtomicFs): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // not there, which is the usual case; a real obstacle shows at open or rename
  }
}

/** Makes a rename in `folder` survive a power cut. */
function syncFolder(folder: string, fs: AtomicFs): void {
  const handle = fs.openSync(folder, O_RDONLY);
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}
