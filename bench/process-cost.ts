// What processes have cost so far, children included: CPU time and memory, as Linux counts them.
import { readFileSync, readdirSync } from 'node:fs';

/** CPU time of the processes and all below them, in microseconds. */
export function cpuMicros(pids: readonly number[]): number {
  return trees(pids).reduce(
    (sum, pid) => sum + threadsOf(pid).reduce((of, thread) => of + runMicros(pid, thread), 0),
    0,
  );
}

/** Time that a thread has run, as the scheduler counts it: to the nanosecond, where /proc/PID/stat has steps of 10 ms. */
function runMicros(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]) / 1000;
  } catch {
    return 0; // it has just ended
  }
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

export interface Memory {
  /** Private memory and the proportional share of what is shared (PSS), in MB. */
  readonly proportionalMb: number;
  /** All that is resident, shared text counted whole, in MB. */
  readonly residentMb: number;
}

/** Memory of the processes and all below them. */
export function memoryOf(pids: readonly number[]): Memory {
  const rollups = trees(pids).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    } catch {
      return ''; // it has just ended
    }
  });
  const sum = (field: string) =>
    rollups.reduce((total, text) => total + Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0), 0);
  return { proportionalMb: sum('Pss') / 1024, residentMb: sum('Rss') / 1024 };
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
