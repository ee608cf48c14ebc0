// Finds a running mesh and asks its API.
import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { codeOf, messageOf, UserError } from '../util/errors.js';

export interface MeshLocation {
  /** Folder of mesh.yaml. */
  readonly directory: string;
  /** Address of the control plane; outweighs the folder. */
  readonly control?: string;
}

/** Adds the options by which every command finds its mesh. */
export function meshLocationOptions(command: Command): Command {
  return command
    .option('-C, --directory <dir>', 'folder of the running mesh', '.')
    .option('--control <url>', 'address of its control plane instead, such as http://127.0.0.1:15014');
}

/** The JSON at `path` of the mesh's API. */
export async function fetchFromMesh(location: MeshLocation, path: string): Promise<unknown> {
  const base = location.control ?? readUrl(location.directory);
  if (!URL.canParse(path, base))
    throw new UserError(`${base} is not an address; write one such as --control http://127.0.0.1:15014`, 2);
  let response: Response;
  try {
    response = await fetch(new URL(path, base), { signal: AbortSignal.timeout(10_000) });
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause;
    throw new UserError(
      `the control plane at ${base} does not answer (${messageOf(cause ?? error)}); is \`lateen up\` running?`,
    );
  }
  if (!response.ok)
    throw new UserError(`the control plane at ${base} answered ${response.status}: ${(await response.text()).trim()}`);
  return response.json();
}

function readUrl(directory: string): string {
  const file = join(resolve(directory), '.lateen', 'run.json');
  try {
    const { url } = JSON.parse(readFileSync(file, 'utf8')) as { url?: unknown };
    if (typeof url !== 'string') throw new Error('it names no address');
    return url;
  } catch (error) {
    if (codeOf(error) === 'ENOENT')
      throw new UserError(
        `no mesh runs from ${resolve(directory)}; start one with \`lateen up DIR\`, or name its folder with -C`,
      );
    throw new UserError(`${file} cannot be read: ${messageOf(error)}`);
  }
}
