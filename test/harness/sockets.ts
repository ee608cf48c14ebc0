// Which process of this machine holds which connection, read from /proc (Linux).
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Remote ports of the connections that a process holds at a loopback port of its own. */
export function callersOf(pid: number, localPort: number): Set<number> {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // closed meanwhile
      }
    }),
  );
  const ports = new Set<number>();
  for (const line of readFileSync(`/proc/${pid}/net/tcp`, 'latin1').split('\n')) {
    const [, local = '', remote = '', , , , , , , inode = ''] = line.trim().split(/\s+/);
    if (inodes.has(inode) && portOf(local) === localPort) ports.add(portOf(remote));
  }
  ports.delete(0); // who listens has no other end
  return ports;
}

function portOf(address: string): number {
  return parseInt(address.split(':')[1] ?? '', 16);
}
