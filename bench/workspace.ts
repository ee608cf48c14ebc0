// A folder with the certificates that pairs are started with.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foreignAuthority, issue } from '../test/harness/certificates.js';
import type { Side, Workspace } from './pair.js';

/** The folder is removed when the process ends. */
export async function createWorkspace(): Promise<Workspace> {
  const folder = mkdtempSync(join(tmpdir(), 'lateen-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const authority = await foreignAuthority();
  const write = (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const side = async (name: string): Promise<Side> => {
    const { cert, key } = await issue(authority, [`spiffe://cluster.local/ns/default/sa/${name}`]);
    return {
      cert: write(`${name}.pem`, cert),
      key: write(`${name}.key`, key),
      both: write(`${name}.both`, cert + key),
    };
  };
  return {
    folder,
    certificates: {
      ca: write('ca.pem', authority.rootPem),
      client: await side('client'),
      server: await side('server'),
    },
  };
}
