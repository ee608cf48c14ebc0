// Tells everybody what runs: the control plane, which serves it to proxies and people, and run.json.
import type { Diagnostic } from '../../api/diagnostic.js';
import type { MeshFile } from '../../api/mesh-file.js';
import type { Plan } from '../../local/plan.js';
import { findStartTime } from '../../local/process-table.js';
import type { RunEntry, RunFile } from '../../local/run-file.js';
import type { StateFolder } from '../../local/state-folder.js';
import { meshFileName } from '../../sources/directory.js';
import { parseDurationMs } from '../../util/duration.js';
import { messageOf } from '../../util/errors.js';
import type { MeshState } from '../role-messages.js';
import type { Instance } from './instance.js';
import type { UpReporter } from './reporter.js';

/** Everything that is told. */
export interface Published {
  readonly mesh: MeshFile;
  readonly plan: Plan;
  readonly instances: readonly Instance[];
  /** What is wrong with mesh.yaml as it is now. */
  readonly meshDiagnostics: readonly Diagnostic[];
  readonly isEnding: boolean;
  readonly proxyPidOf: (uid: string) => number | undefined;
  readonly workerPidsOf: (uid: string) => readonly number[];
}

/** Numbers of the mesh's own processes. */
export interface OwnPids {
  readonly control: number | undefined;
  readonly data: number | undefined;
  readonly guard: number | undefined;
}

export function createRunEntries({ instances, proxyPidOf, workerPidsOf }: Published): RunEntry[] {
  return instances.map((instance) => instance.runEntry(proxyPidOf(instance.uid), workerPidsOf(instance.uid)));
}

/** The state as the control plane takes it. */
export function createMeshState(published: Published, sequence: number): MeshState {
  const { mesh, plan, instances, meshDiagnostics, isEnding } = published;
  return {
    kind: 'mesh',
    sequence,
    isEnding,
    meshConfig: mesh.meshConfig,
    workloadLifetimeMs: parseDurationMs(mesh.certificates.workloadLifetime)!,
    services: plan.services,
    workloads: instances.map(({ workload }) => workload),
    tokens: Object.fromEntries(instances.map(({ uid, token }) => [uid, token])),
    run: createRunEntries(published),
    diagnostics: [...meshDiagnostics, ...instances.flatMap(applicationDiagnostic)],
  };
}

function applicationDiagnostic({ name, planned, problem }: Instance): Diagnostic[] {
  if (problem === undefined) return [];
  return [
    {
      severity: 'error',
      code: 'LAT0009',
      object: `Workload/${planned.key}`,
      file: meshFileName,
      line: 0,
      path: `services.${planned.service}`,
      message: `${name}: ${problem}`,
    },
  ];
}

/** Writes run.json; that it cannot be written is told and stops nothing. */
export function writeRunFile(
  state: StateFolder,
  workloads: readonly RunEntry[],
  own: OwnPids,
  run: Pick<RunFile, 'url' | 'directory' | 'runId'>,
  reporter: UpReporter,
): void {
  const ofWorkloads = workloads.flatMap(({ pid, proxyPid, workerPids }) => [pid, proxyPid, ...workerPids]);
  const startTimes = new Map<string, string>();
  for (const pid of new Set([own.control, own.data, own.guard, ...ofWorkloads])) {
    const startTime = typeof pid === 'number' ? findStartTime(pid) : undefined;
    if (startTime !== undefined) startTimes.set(String(pid), startTime);
  }
  const file: RunFile = {
    workloads,
    pids: { supervisor: process.pid, control: own.control ?? null, data: own.data ?? null },
    ...run,
    startTimes: Object.fromEntries(startTimes),
  };
  try {
    state.write('run', `${JSON.stringify(file, null, 2)}\n`);
  } catch (error) {
    reporter.problem(`cannot write run.json: ${messageOf(error)}; other commands will not find this mesh`);
  }
}
