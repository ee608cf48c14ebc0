// Facts about processes of this machine that Node does not tell: whether a number still means the same process.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { codeOf } from '../util/errors.js';

/** A process, told apart from a later one with the same number. */
export interface ProcessId {
  readonly pid: number;
  /** When it started, in the system's own words; only compared. */
  readonly startTime: string;
}

/** The start time of a running process; undefined where there is none with that number. */
export function findStartTime(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const fields = readStat(pid);
    return fields === undefined || fields[stateField] === 'Z' ? undefined : fields[startTimeField];
  }
  try {
    return (
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim() || undefined
    );
  } catch {
    return undefined;
  }
}

export function isRunning({ pid, startTime }: ProcessId): boolean {
  return findStartTime(pid) === startTime;
}

export function thisProcess(): ProcessId {
  return { pid: process.pid, startTime: findStartTime(process.pid) ?? '' };
}

/** Whether any process of the group is left; one that has ended and waits to be collected is not. */
export function isGroupAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
  if (process.platform !== 'linux') return true;
  return processNumbers().some((pid) => {
    const fields = readStat(pid);
    return fields !== undefined && fields[stateField] !== 'Z' && Number(fields[groupField]) === group;
  });
}

/** Sends a signal to a whole process group; that none is left is fine. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // it has ended already
  }
}

/** Processes that carry `NAME=value` in their environment, wherever they went (Linux; elsewhere none are found). */
export function findByEnvironment(name: string, value: string): number[] {
  if (process.platform !== 'linux') return [];
  const wanted = `${name}=${value}`;
  return processNumbers().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(wanted);
    } catch {
      return false; // it ended, or belongs to somebody else
    }
  });
}

/** Places in /proc/PID/stat, counted behind the name (proc(5)). */
const stateField = 0;
const groupField = 2;
const startTimeField = 19;

/** Fields of /proc/PID/stat behind the name, which may hold anything. */
function readStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function processNumbers(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);
}
