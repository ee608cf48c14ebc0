// Ends what a run left behind whose supervisor was killed, before the next one begins.
import { workloadVariable } from './command.js';
import { findByEnvironment, isRunning, signalGroup } from './process-table.js';
import type { RunFile } from './run-file.js';
import type { StateFolder } from './state-folder.js';

/** @returns how many processes were ended */
export function cleanUpAfterCrash(state: StateFolder): number {
  const text = state.read('run');
  if (text === undefined) return 0;
  const run = parseRunFile(text);
  state.remove('run');
  if (run === undefined) return 0;
  const groups = Object.entries(run.startTimes)
    .map(([pid, startTime]) => ({ pid: Number(pid), startTime }))
    .filter((process_) => process_.pid !== process.pid && isRunning(process_));
  for (const { pid } of groups) {
    signalGroup(pid, 'SIGKILL');
    endOne(pid); // a worker leads no group
  }
  const strays = run.workloads.flatMap(({ namespace, name }) =>
    findByEnvironment(workloadVariable, `${namespace}/${name}@${run.runId}`),
  );
  for (const pid of strays) endOne(pid);
  return new Set([...groups.map(({ pid }) => pid), ...strays]).size;
}

type LeftBehind = Pick<RunFile, 'startTimes' | 'runId'> & {
  readonly workloads: readonly Pick<RunFile['workloads'][number], 'namespace' | 'name'>[];
};

/** The run that a file tells of; undefined where it is not one of ours, which must not keep a mesh from starting. */
function parseRunFile(text: string): LeftBehind | undefined {
  try {
    const run = JSON.parse(text) as Partial<LeftBehind> | null;
    if (typeof run?.startTimes !== 'object' || run.startTimes === null) return undefined;
    const isWorkload = (item: unknown) => typeof item === 'object' && item !== null;
    if (!Array.isArray(run.workloads) || !run.workloads.every(isWorkload)) return undefined;
    return run as LeftBehind;
  } catch {
    return undefined;
  }
}

function endOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended at this moment
  }
}
