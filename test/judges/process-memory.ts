// How much memory a process has, as Linux counts it.
import { readFileSync } from 'node:fs';

/** Resident bytes. */
export function residentBytes(pid: number): number {
  return kilobytes(`/proc/${pid}/status`, 'VmRSS') * 1024;
}

/** Private bytes and the process's share of what it has in common with others. */
export function proportionalBytes(pid: number): number {
  return kilobytes(`/proc/${pid}/smaps_rollup`, 'Pss') * 1024;
}

function kilobytes(file: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'latin1'));
  if (match === null) throw new Error(`${file} has no ${name}`);
  return Number(match[1]);
}

export const megabytes = (bytes: number): number => Math.round(bytes / 1024 / 1024);
