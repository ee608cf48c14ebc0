// What the control plane keeps on disk: its authority, and the last good version of every object.
import type { MeshObject } from '../../api/object.js';
import { Authority } from '../../ca/authority.js';
import type { StateFolder } from '../../local/state-folder.js';
import type { LastGoodStore } from '../../sources/directory.js';
import { messageOf, UserError } from '../../util/errors.js';
import type { Logger } from '../../util/logger.js';

/** The authority of the state folder; made and saved where there is none. */
export async function openAuthority(
  state: StateFolder,
  trustDomain: string,
): Promise<{ authority: Authority; isNew: boolean }> {
  const file = state.read('authority');
  if (file !== undefined) {
    try {
      return { authority: await Authority.open(file), isNew: false };
    } catch (error) {
      throw new UserError(
        `the authority in ${state.path}/authority.pem cannot be read: ${messageOf(error)}; restore the file, or remove it to get a new authority`,
      );
    }
  }
  const created = await Authority.create(trustDomain, Date.now());
  state.write('authority', created.file);
  return { authority: created.authority, isNew: true };
}

/** The last good objects in the state folder; unreadable ones count as none. */
export function lastGoodIn(state: StateFolder, log: Logger): LastGoodStore {
  return {
    load: () => {
      const text = state.read('lastGood');
      if (text === undefined) return [];
      try {
        return (JSON.parse(text) as { objects: MeshObject[] }).objects;
      } catch (error) {
        log.warn('the last good configuration cannot be read; it begins anew', { reason: messageOf(error) });
        return [];
      }
    },
    save: (objects) => state.write('lastGood', JSON.stringify({ objects })),
  };
}
