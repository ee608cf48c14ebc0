// What processes have cost so far, children included: CPU time and memory, as Linux counts them.
import { readFileSync, readdirSync } from 'node:fs';

/** Clock ticks a second in /proc/PID/stat (sysconf(_SC_CLK_TCK)); 100 on Linux. */
const ticksPerSecond = 100;

/** User and system time of the processes and all below them, in microseconds. */
export function cpuMicros(pids: readonly number[]): number {
  return trees(pids).reduce((sum, pid) => {
    const fields = statOf(pid);
    return fields === undefined ? sum : sum + ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
  }, 0);
}

/** Private memory and the proportional share of what is shared (PSS), in MB, of the processes and all below them. */
export function memoryMb(pids: readonly number[]): number {
  return trees(pids).reduce((sum, pid) => {
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      return sum + Number(/^Pss:\s+(\d+)/m.exec(rollup)![1]) / 1024;
    } catch {
      return sum;
    }
  }, 0);
}

function trees(pids: readonly number[]): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: Number(statOf(Number(name))?.[1] ?? 0) }));
  const below = (pid: number): number[] => [
    pid,
    ...parents.filter(({ parent }) => parent === pid).flatMap((child) => below(child.pid)),
  ];
  return pids.flatMap(below);
}

/** Fields of /proc/PID/stat behind the name: state, parent, ... (proc(5)). */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
