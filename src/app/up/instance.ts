// One instance at run time: its proxy, its application, and how far both have come.
import { randomBytes } from 'node:crypto';
import { Application, type ApplicationState } from '../../local/application.js';
import { workloadVariable } from '../../local/command.js';
import type { Guard } from '../../local/guard.js';
import { applicationEnvironment, type PlannedInstance } from '../../local/plan.js';
import { createRunEntry, type RunEntry } from '../../local/run-file.js';
import type { Service } from '../../model/service.js';
import type { Address, Upstream, Workload } from '../../model/workload.js';
import type { ProxiedWorkload } from '../../proxy/data-plane.js';
import { clusterId } from '../../compile/workload-summary.js';

export interface InstanceContext {
  readonly directory: string;
  readonly runId: string;
  readonly guard: Guard;
  readonly services: () => readonly Service[];
  readonly onLine: (name: string, line: string) => void;
  /** Something about the instance changed. */
  readonly onChange: (instance: Instance) => void;
}

export class Instance {
  readonly planned: PlannedInstance;
  readonly token = randomBytes(32).toString('base64url');
  readonly #context: InstanceContext;
  #workload: Workload;
  #application: Application | undefined;
  #applicationState: ApplicationState = { pid: undefined, ready: false, problem: undefined };
  #proxyProblem: string | undefined;
  #isProxyReady = false;
  #mayStart: boolean;
  #isRetired = false;

  constructor(planned: PlannedInstance, workload: Workload, context: InstanceContext) {
    this.planned = planned;
    this.#workload = workload;
    this.#context = context;
    this.#mayStart = !this.isCaller;
  }

  get uid(): string {
    return this.#workload.uid;
  }

  get name(): string {
    return this.#workload.name;
  }

  /** The workload as the control plane sees it. */
  get workload(): Workload {
    return this.#workload;
  }

  /** Whether another has taken its place, or nobody: it only ends what it has begun. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  get isReady(): boolean {
    return this.#workload.ready;
  }

  /** Whether waiting longer brings nothing: it works, or something is wrong. */
  get isSettled(): boolean {
    return this.isReady || this.isRetired || this.problem !== undefined;
  }

  get problem(): string | undefined {
    return this.#applicationState.problem ?? this.#proxyProblem;
  }

  /** Whether it only calls others: then it starts after them and ends before them. */
  get isCaller(): boolean {
    return this.#workload.ports.length === 0;
  }

  /** The proxy reports: with it ready the application starts, never before. */
  setProxyState(ready: boolean, problem: string | undefined): void {
    this.#isProxyReady = ready;
    this.#proxyProblem = problem;
    this.#startIfPossible();
    this.#update();
  }

  /** What it calls is there, or will not be. */
  allowStart(): void {
    if (this.#mayStart) return;
    this.#mayStart = true;
    this.#startIfPossible();
  }

  setUpstreams(upstreams: readonly Upstream[]): void {
    this.#workload = { ...this.#workload, upstreams };
  }

  /** Takes it out of the endpoints; it still ends what it has begun. */
  retire(): void {
    this.#isRetired = true;
    this.#update();
  }

  async stop(patient: boolean): Promise<void> {
    this.#isRetired = true;
    await this.#application?.stop(patient);
  }

  /** Whether mesh.yaml fixes ports that a successor would need too. */
  get hasFixedPorts(): boolean {
    const { inbound, outbound, upstreams, foreign } = this.planned.fixed;
    return inbound !== 0 || outbound !== 0 || upstreams.size > 0 || foreign.length > 0;
  }

  /** Name, identity and addresses in one line. */
  describe(): string {
    const { name, spiffeId, ports, outboundHttp } = this.#workload;
    const [first] = ports;
    const place = (at: Address) => `${at.address}:${at.port}`;
    const already = this.planned.command === undefined ? ' (runs already)' : '';
    const serves =
      first === undefined
        ? 'only calls others'
        : `application ${place(first.app)}${already}, mesh ${place(first.inbound)}`;
    return `${name}: ${spiffeId}, ${serves}, outbound ${place(outboundHttp)}`;
  }

  /** What its proxy needs to know. */
  proxied(): ProxiedWorkload {
    const { name, namespace, workloadName, serviceAccount, labels } = this.#workload;
    return {
      key: this.uid,
      token: this.token,
      nodeId: `sidecar~127.0.0.1~${name}.${namespace}~${namespace}.svc.cluster.local`,
      metadata: {
        NAME: name,
        NAMESPACE: namespace,
        WORKLOAD_NAME: workloadName,
        SERVICE_ACCOUNT: serviceAccount,
        CLUSTER_ID: clusterId,
        LABELS: labels,
      },
    };
  }

  runEntry(proxyPid: number | undefined, workerPids: readonly number[]): RunEntry {
    return createRunEntry({
      planned: this.planned,
      workload: this.#workload,
      pid: this.#applicationState.pid,
      proxyPid,
      workerPids,
    });
  }

  #startIfPossible(): void {
    if (this.#isProxyReady && this.#mayStart && this.#application === undefined && !this.#isRetired)
      this.#startApplication();
  }

  #startApplication(): void {
    const { planned, workload } = this;
    const { directory, runId, guard, onLine } = this.#context;
    this.#application = new Application({
      command:
        planned.command === undefined
          ? undefined
          : {
              command: planned.command,
              cwd: directory,
              env: {
                ...inheritedEnvironment(),
                ...applicationEnvironment(workload, planned, this.#context.services()),
                [workloadVariable]: `${this.uid}@${runId}`,
              },
            },
      listens: workload.ports.map(({ app }) => app),
      guard,
      onLine: (line) => onLine(this.name, line),
      onState: (state) => {
        this.#applicationState = state;
        this.#update();
      },
    });
    this.#application.start();
  }

  #update(): void {
    const ready = this.#isProxyReady && this.#applicationState.ready && !this.#isRetired;
    if (ready !== this.#workload.ready) this.#workload = { ...this.#workload, ready };
    this.#context.onChange(this);
  }
}

function inheritedEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}
