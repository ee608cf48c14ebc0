// The data plane as the supervisor sees it: one process for all workloads, or with `--isolate` one for each. With `--workers` each
// of them has others do the work, which is its own affair.
import type { Guard } from '../../local/guard.js';
import { RoleProcess } from '../../local/role-process.js';
import { withinTime } from '../../util/within-time.js';
import type { DrainOrder, FromDataPlane, ToDataPlane } from '../role-messages.js';
import type { Instance } from './instance.js';
import type { UpReporter } from './reporter.js';

type Role = RoleProcess<ToDataPlane, FromDataPlane>;

/**
 * A quarter of Node's default for young objects, and old ones collected once they are 1.4 times as much as was left: 20 MB less of
 * each process at the same CPU a request (docs/performance.md).
 */
const nodeOptions = ['--max-semi-space-size=4', '--heap-growing-percent=40'];

export interface DataRolesOptions {
  readonly program: string;
  readonly isolate: boolean;
  /** Processes that share the ports of a data plane; 1: it does the work itself. */
  readonly workers: number;
  readonly directory: string;
  readonly socketPath: string;
  readonly guard: Guard;
  readonly reporter: UpReporter;
  /** A process changed. */
  readonly onChange: () => void;
}

/** Key of the process that carries every workload. */
const node = '';

export class DataRoles {
  readonly #options: DataRolesOptions;
  readonly #roles = new Map<string, Role>();
  /** Instances that are carried, by uid. */
  readonly #carried = new Map<string, Instance>();
  /** Processes of the workers of each role. */
  readonly #workerPids = new Map<string, readonly number[]>();
  readonly #onEnded = new Map<string, () => void>();
  #onDrained: (() => void) | undefined;
  #giveUpDraining: (() => void) | undefined;
  #isStopped = false;

  constructor(options: DataRolesOptions) {
    this.#options = options;
  }

  /** Process of the node proxy; undefined where every workload has its own. */
  get nodePid(): number | undefined {
    return this.#roles.get(node)?.pid;
  }

  /** Process of the proxy of an instance. */
  pidOf(uid: string): number | undefined {
    return this.#roles.get(this.#keyOf(uid))?.pid;
  }

  /** Processes that do its work, where that is not the process itself. */
  workerPidsOf(uid: string): readonly number[] {
    return this.#workerPids.get(this.#keyOf(uid)) ?? [];
  }

  /** Gives instances a proxy. */
  add(instances: readonly Instance[]): void {
    for (const instance of instances) this.#carried.set(instance.uid, instance);
    for (const key of new Set(instances.map(({ uid }) => this.#keyOf(uid)))) {
      if (this.#roles.has(key)) this.#tell(key);
      else this.#start(key);
    }
  }

  /** Takes an instance's proxy away; resolves when it has ended what it carried, or after `longestMs`. */
  async remove({ uid }: Instance, longestMs: number): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#onEnded.set(uid, resolve));
    this.#carried.delete(uid);
    const key = this.#keyOf(uid);
    this.#tell(key);
    await withinTime(ended, longestMs);
    this.#onEnded.delete(uid);
    if (key === node) return;
    await this.#roles.get(key)?.stop(1000);
    this.#roles.delete(key);
    this.#workerPids.delete(key);
  }

  /** Ends all traffic in order, within `longestMs` and a little. */
  async drain(longestMs: number): Promise<void> {
    const deadlineMs = performance.now() + longestMs;
    const callers = [...this.#carried.values()].filter((instance) => instance.isCaller).map(({ uid }) => uid);
    for (const step of ['callers', 'quiet', 'close'] as const)
      await this.#drainStep({ step, callers, longestMs: Math.max(0, deadlineMs - performance.now()) });
  }

  /** Tells every process the step and waits until all have done it. */
  async #drainStep(order: DrainOrder): Promise<void> {
    const awaited = [...this.#roles].filter(
      ([key, { pid }]) => pid !== undefined && (order.step !== 'callers' || this.#carries(key, order.callers)),
    );
    let missing = awaited.length;
    if (missing === 0 || this.#isStopped) return;
    const drained = new Promise<void>((resolve) => {
      this.#giveUpDraining = resolve;
      this.#onDrained = () => {
        if (--missing === 0) resolve();
      };
    });
    for (const [key] of awaited) this.#tell(key, order);
    await withinTime(drained, order.longestMs + 2000);
  }

  #carries(key: string, uids: readonly string[]): boolean {
    return this.#carriedBy(key).some(({ uid }) => uids.includes(uid));
  }

  async stop(longestMs: number): Promise<void> {
    this.#isStopped = true;
    this.#giveUpDraining?.();
    for (const giveUp of this.#onEnded.values()) giveUp();
    await Promise.all([...this.#roles.values()].map((role) => role.stop(longestMs)));
  }

  #keyOf(uid: string): string {
    return this.#options.isolate ? uid : node;
  }

  #carriedBy(key: string): Instance[] {
    return [...this.#carried.values()].filter(({ uid }) => this.#keyOf(uid) === key);
  }

  #start(key: string): void {
    const { program, guard, reporter, onChange, workers } = this.#options;
    const of = () => (key === node ? '' : ` of ${this.#carried.get(key)?.name ?? key}`);
    const role: Role = new RoleProcess<ToDataPlane, FromDataPlane>({
      program,
      args: workers === 1 ? ['proxy'] : ['proxy', '--workers', String(workers)],
      nodeOptions,
      onStart: () => {
        this.#tell(key);
        if (role.pid !== undefined) guard.add(role.pid);
        onChange();
      },
      onMessage: (message) => {
        if (message.kind === 'problem') reporter.problem(`data plane${of()}: ${message.message}`);
        else if (message.kind === 'workers') {
          this.#workerPids.set(key, message.pids);
          onChange();
        } else this.#receive(message);
      },
      onLine: (line) => reporter.output('', line),
      onUnexpectedExit: (reason, restartInMs) => {
        this.#workerPids.delete(key);
        reporter.problem(`data plane${of()}: ${reason}; it is started again in ${(restartInMs / 1000).toFixed(1)} s`);
        for (const instance of this.#carriedBy(key)) instance.setProxyState(false, undefined);
      },
    });
    this.#roles.set(key, role);
    role.start();
  }

  #tell(key: string, drain?: DrainOrder): void {
    const { directory, socketPath } = this.#options;
    this.#roles.get(key)?.send({
      kind: 'workloads',
      directory,
      socketPath,
      workloads: this.#carriedBy(key).map((instance) => instance.proxied()),
      ...(drain === undefined ? {} : { drain }),
    });
  }

  #receive(message: Exclude<FromDataPlane, { kind: 'problem' | 'workers' }>): void {
    if (message.kind === 'state') this.#carried.get(message.key)?.setProxyState(message.ready, message.problem);
    else if (message.kind === 'ended') this.#onEnded.get(message.key)?.();
    else this.#onDrained?.();
  }
}
