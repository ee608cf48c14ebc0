// `lateen up`, put together: one supervisor that starts and watches everything else. It holds no traffic and no keys; it
// knows what should run, what does, and tells both planes whenever that changes.
import { watch as watchFile } from 'chokidar';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { formatDiagnostic, type Diagnostic } from '../api/diagnostic.js';
import type { MeshFile } from '../api/mesh-file.js';
import { validateMeshFile } from '../api/validate.js';
import { workloadVariable } from '../local/command.js';
import { Guard } from '../local/guard.js';
import { assignPorts, assignUpstreams, createPlan, type Plan, type PlannedInstance } from '../local/plan.js';
import { PortAllocator } from '../local/ports.js';
import { findByEnvironment, findStartTime, isRunning, signalGroup } from '../local/process-table.js';
import { RoleProcess } from '../local/role-process.js';
import type { RunEntry, RunFile } from '../local/run-file.js';
import { StateFolder } from '../local/state-folder.js';
import { meshFileName } from '../sources/directory.js';
import { parseDurationMs } from '../util/duration.js';
import { codeOf, messageOf, UserError } from '../util/errors.js';
import { Instance, type InstanceContext } from './instance.js';
import type { FromControl, FromDataPlane, MeshState, ToControl, ToDataPlane } from './role-messages.js';
import type { UpReporter } from './up-reporter.js';

export interface UpOptions {
  readonly directory: string;
  /** A data-plane process for every workload instead of one for all. */
  readonly isolate: boolean;
  readonly reporter: UpReporter;
  /** Entry point of the program, for the mesh's own processes. */
  readonly program: string;
}

const defaultHttpPort = 15014;
/** How long `ready` waits for applications that are slow and not known to be broken. */
const settleWithinMs = 15_000;
/** How long proxies may take to stop sending to an instance that goes. */
const syncWithinMs = 3000;
/** How long the proxy of an instance that goes may take to end what it carries. */
const endWithinMs = 7000;
const drainMs = 5000;
/** Longest path of a unix socket that every system takes; longer ones bind silently somewhere else. */
const longestSocketPath = 100;

type DataRole = RoleProcess<ToDataPlane, FromDataPlane>;

/** Starts a mesh; resolves once everything that can run does. */
export async function startMesh(options: UpOptions): Promise<RunningMesh> {
  const directory = resolve(options.directory);
  const file = join(directory, meshFileName);
  if (!existsSync(file))
    throw new UserError(
      `there is no ${meshFileName} in ${directory}; name the folder that has one: \`lateen up DIR\``,
      2,
    );
  const mesh = readMesh(file);
  if ('diagnostics' in mesh)
    throw new UserError(
      `${file} is refused:\n${mesh.diagnostics.map((diagnostic) => `  ${formatDiagnostic(diagnostic)}`).join('\n')}`,
    );
  const state = new StateFolder(directory);
  state.create();
  state.lock();
  try {
    cleanUpAfterCrash(state, options.reporter);
    const running = new RunningMesh(options, realpathSync(directory), state, mesh.mesh);
    await running.start();
    return running;
  } catch (error) {
    state.unlock();
    throw error;
  }
}

function readMesh(file: string): ReturnType<typeof validateMeshFile> {
  try {
    return validateMeshFile(meshFileName, readFileSync(file, 'utf8'));
  } catch (error) {
    return {
      diagnostics: [
        {
          severity: 'error',
          code: 'LAT0006',
          object: '',
          file: meshFileName,
          line: 0,
          path: '',
          message: `cannot be read: ${messageOf(error)}`,
        },
      ],
    };
  }
}

/** Ends what a run left behind whose supervisor was killed. */
function cleanUpAfterCrash(state: StateFolder, reporter: UpReporter): void {
  const text = state.read('run');
  if (text === undefined) return;
  let left = 0;
  try {
    const run = JSON.parse(text) as RunFile;
    for (const [pid, startTime] of Object.entries(run.startTimes)) {
      if (Number(pid) === process.pid || !isRunning({ pid: Number(pid), startTime })) continue;
      signalGroup(Number(pid), 'SIGKILL');
      left++;
    }
    for (const entry of run.workloads)
      for (const pid of findByEnvironment(workloadVariable, `${entry.namespace}/${entry.name}@${run.runId}`)) {
        process.kill(pid, 'SIGKILL');
        left++;
      }
  } catch {
    // Unreadable, or a process ended at this moment: either way nothing is left to end.
  }
  if (left > 0) reporter.step(`ended ${left} process${left === 1 ? '' : 'es'} that an earlier run had left behind`);
  state.remove('run');
}

export class RunningMesh {
  readonly #options: UpOptions;
  readonly #directory: string;
  readonly #state: StateFolder;
  readonly #reporter: UpReporter;
  readonly #runId = randomBytes(8).toString('hex');
  readonly #sockets: string;
  readonly #socketPath: string;
  readonly #ports = new PortAllocator();
  readonly #guard: Guard;
  readonly #control: RoleProcess<ToControl, FromControl>;
  /** The node proxy, or with `--isolate` one process for each instance, by uid. */
  readonly #dataPlanes = new Map<string, DataRole>();
  /** By uid; while one is replaced both stand here. */
  readonly #instances = new Map<string, Instance>();
  readonly #ended = new Map<string, () => void>();
  readonly #synced = new Set<{ readonly sequence: number; readonly resolve: () => void }>();

  #mesh: MeshFile;
  #plan: Plan;
  #meshDiagnostics: readonly Diagnostic[] = [];
  #diagnostics: readonly Diagnostic[] = [];
  #plaintext: readonly string[] = [];
  #httpPort = 0;
  #sequence = 0;
  #generation = 0;
  #publishing: NodeJS.Immediate | undefined;
  #told = new Map<string, string>();
  #listening:
    | { resolve: (message: Extract<FromControl, { kind: 'listening' }>) => void; reject: (error: Error) => void }
    | undefined;
  #onSettled: (() => void) | undefined;
  #reconciling: Promise<void> = Promise.resolve();
  #stopWatching: (() => Promise<void>) | undefined;
  #isStopping = false;

  constructor(options: UpOptions, directory: string, state: StateFolder, mesh: MeshFile) {
    this.#options = options;
    this.#directory = directory;
    this.#state = state;
    this.#reporter = options.reporter;
    this.#mesh = mesh;
    this.#plan = createPlan(mesh);
    this.#sockets = createSocketFolder();
    this.#socketPath = join(this.#sockets, 'xds.sock');
    this.#guard = new Guard(this.#sockets);
    this.#control = this.#createControl();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#httpPort}/`;
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics;
  }

  async start(): Promise<void> {
    const { services, instances } = this.#plan;
    this.#reporter.step(
      `starting ${plural(services.length, 'service')} as ${plural(instances.length, 'workload')} from ${this.#directory}`,
    );
    for (const planned of instances) await this.#addInstance(planned);
    await this.#startControl();
    for (const { workload, planned } of this.#instances.values())
      this.#reporter.step(describeInstance(workload, planned));
    this.#startDataPlanes();
    await this.#settled(settleWithinMs);
    this.#watchMeshFile();
    this.#publishNow();
    this.#reporter.ready({ url: this.url, workloads: this.#runEntries(), plaintext: this.#plaintext });
  }

  /** Ends everything: traffic first, then applications, then the mesh's own processes. `patient` false is for a second Ctrl-C. */
  async stop(patient: boolean): Promise<void> {
    const first = !this.#isStopping;
    this.#isStopping = true;
    if (first) {
      await this.#stopWatching?.();
      this.#reporter.step('stopping: waiting for requests under way');
      await this.#drainDataPlanes();
      this.#reporter.step('stopping: ending the applications');
    }
    await Promise.all([...this.#instances.values()].map((instance) => instance.stop(patient)));
    await Promise.all([...this.#dataPlanes.values(), this.#control].map((role) => role.stop(patient ? 5000 : 0)));
    this.#guard.close();
    this.#ports.close();
    rmSync(this.#sockets, { recursive: true, force: true });
    this.#state.remove('run');
    this.#state.unlock();
    this.#reporter.step('stopped');
  }

  // ---- the mesh's own processes

  #createControl(): RoleProcess<ToControl, FromControl> {
    return new RoleProcess<ToControl, FromControl>({
      program: this.#options.program,
      args: ['control'],
      onStart: () => this.#tellControl(),
      onMessage: (message) => this.#onControl(message),
      onLine: (line) => this.#reporter.output('control', line),
      onUnexpectedExit: (reason, restartInMs) => {
        this.#reporter.problem(
          `control plane: ${reason}; traffic goes on, it is started again in ${(restartInMs / 1000).toFixed(1)} s`,
        );
        this.#publish();
      },
    });
  }

  async #startControl(): Promise<void> {
    const listening = new Promise<Extract<FromControl, { kind: 'listening' }>>(
      (resolve, reject) => (this.#listening = { resolve, reject }),
    );
    this.#control.start();
    try {
      const { httpPort, authorityIsNew, rootNotAfterMs } = await listening;
      this.#httpPort = httpPort;
      const until = new Date(rootNotAfterMs).toISOString().slice(0, 10);
      this.#reporter.step(
        `authority of ${this.#mesh.meshConfig.trustDomain}: ${authorityIsNew ? 'made now' : 'kept from before'}, valid until ${until}`,
      );
    } catch (error) {
      await this.stop(false);
      throw error;
    }
  }

  /** The whole state, at every start of the control plane: it keeps nothing of its own that could be lost. */
  #tellControl(): void {
    const { httpPort, xdsPort, xdsTlsPort } = this.#mesh.control;
    const wanted = httpPort === undefined ? [defaultHttpPort, 0] : [httpPort];
    this.#control.send({
      kind: 'start',
      directory: this.#directory,
      socketPath: this.#socketPath,
      // Started again it comes back at the address that people have open.
      httpPorts: this.#httpPort === 0 ? wanted : [this.#httpPort, ...wanted],
      xdsPort,
      xdsTlsPort,
    });
    this.#publishNow();
    if (this.#control.pid !== undefined) this.#guard.add(this.#control.pid);
  }

  #onControl(message: FromControl): void {
    switch (message.kind) {
      case 'listening':
        this.#httpPort = message.httpPort;
        this.#listening?.resolve(message);
        this.#publish();
        break;
      case 'fatal':
        this.#reporter.problem(`control plane: ${message.message}`);
        this.#listening?.reject(new UserError(message.message));
        break;
      case 'synced':
        for (const waiting of this.#synced) if (waiting.sequence <= message.sequence) waiting.resolve();
        break;
      case 'diagnostics':
        this.#diagnostics = message.diagnostics;
        this.#plaintext = message.plaintext;
        this.#reporter.diagnostics(message.diagnostics);
        break;
    }
  }

  #startDataPlanes(): void {
    if (!this.#options.isolate) this.#startDataPlane('');
    else for (const uid of this.#instances.keys()) this.#startDataPlane(uid);
  }

  /** @param uid the one workload that it carries; empty for all */
  #startDataPlane(uid: string): void {
    const role: DataRole = new RoleProcess<ToDataPlane, FromDataPlane>({
      program: this.#options.program,
      args: ['proxy'],
      onStart: () => {
        this.#tellDataPlane(uid);
        if (role.pid !== undefined) this.#guard.add(role.pid);
        this.#publish();
      },
      onMessage: (message) => this.#onDataPlane(message),
      onLine: (line) => this.#reporter.output('', line),
      onUnexpectedExit: (reason, restartInMs) => {
        this.#reporter.problem(
          `data plane${uid === '' ? '' : ` of ${this.#instances.get(uid)?.name ?? uid}`}: ${reason}; it is started again in ${(restartInMs / 1000).toFixed(1)} s`,
        );
        for (const instance of this.#instances.values())
          if (uid === '' || instance.uid === uid) instance.setProxyState(false, undefined);
      },
    });
    this.#dataPlanes.set(uid, role);
    role.start();
  }

  #tellDataPlane(uid: string, more: { readonly drainMs?: number } = {}): void {
    const carried = [...this.#instances.values()].filter(
      (instance) => (uid === '' || instance.uid === uid) && !this.#ended.has(instance.uid),
    );
    this.#dataPlanes.get(uid)?.send({
      kind: 'workloads',
      directory: this.#directory,
      socketPath: this.#socketPath,
      workloads: carried.map((instance) => instance.proxied()),
      ...more,
    });
  }

  #tellDataPlanes(more: { readonly drainMs?: number } = {}): void {
    for (const uid of this.#dataPlanes.keys()) this.#tellDataPlane(uid, more);
  }

  #onDataPlane(message: FromDataPlane): void {
    if (message.kind === 'state') this.#instances.get(message.key)?.setProxyState(message.ready, message.problem);
    else if (message.kind === 'ended') this.#ended.get(message.key)?.();
    else this.#onDrained?.();
  }

  #onDrained: (() => void) | undefined;

  async #drainDataPlanes(): Promise<void> {
    let missing = this.#dataPlanes.size;
    if (missing === 0) return;
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = () => {
        if (--missing === 0) resolve();
      };
    });
    this.#tellDataPlanes({ drainMs });
    await withinTime(drained, drainMs + 2000);
  }

  #proxyPid(uid: string): number | undefined {
    return this.#dataPlanes.get(this.#options.isolate ? uid : '')?.pid;
  }

  // ---- instances

  async #addInstance(planned: PlannedInstance): Promise<Instance> {
    const uid = this.#instances.has(planned.key) ? `${planned.key}~${++this.#generation}` : planned.key;
    const workload = await assignPorts(uid, planned, this.#plan.services, (purpose) => this.#ports.allocate(purpose));
    const context: InstanceContext = {
      directory: this.#directory,
      runId: this.#runId,
      guard: this.#guard,
      services: () => this.#plan.services,
      onLine: (name, line) => this.#reporter.output(name, line),
      onChange: (instance) => this.#onInstance(instance),
    };
    const instance = new Instance(planned, workload, context);
    this.#instances.set(uid, instance);
    return instance;
  }

  #onInstance(instance: Instance): void {
    const { uid, name, problem } = instance;
    const told = this.#told.get(uid);
    // Restarts change the numbers in a sentence, not what is wrong: it is told once, and again when it was right between.
    const essence = problem?.replace(/[\d.]+ s/g, '');
    if (essence !== undefined && essence !== told) this.#reporter.problem(`${name}: ${problem}`);
    else if (instance.isReady && told !== 'ready') this.#reporter.step(`${name} is ready`);
    if (essence !== undefined) this.#told.set(uid, essence);
    else if (instance.isReady) this.#told.set(uid, 'ready');
    this.#publish();
    if ([...this.#instances.values()].every((other) => other.isSettled)) this.#onSettled?.();
  }

  /** Resolves when every instance works or is known not to. */
  async #settled(longestMs: number): Promise<void> {
    const settled = new Promise<void>((resolve) => (this.#onSettled = resolve));
    await withinTime(settled, longestMs);
    this.#onSettled = undefined;
  }

  /** Takes an instance out of service without losing what it has begun. */
  async #removeInstance(instance: Instance): Promise<void> {
    const { uid } = instance;
    instance.retire();
    this.#publishNow();
    await this.#allSynced();
    const ended = new Promise<void>((resolve) => this.#ended.set(uid, resolve));
    if (this.#options.isolate) {
      this.#dataPlanes
        .get(uid)
        ?.send({ kind: 'workloads', directory: this.#directory, socketPath: this.#socketPath, workloads: [] });
    } else this.#tellDataPlane('');
    await withinTime(ended, endWithinMs);
    await instance.stop(true);
    if (this.#options.isolate) {
      await this.#dataPlanes.get(uid)?.stop(5000);
      this.#dataPlanes.delete(uid);
    }
    this.#instances.delete(uid);
    this.#ended.delete(uid);
    this.#told.delete(uid);
    this.#publish();
  }

  #allSynced(): Promise<void> {
    const sequence = this.#sequence;
    const waiting = { sequence, resolve: () => undefined as void };
    const synced = new Promise<void>((resolve) => (waiting.resolve = resolve));
    this.#synced.add(waiting);
    return withinTime(synced, syncWithinMs).finally(() => this.#synced.delete(waiting));
  }

  // ---- changes of mesh.yaml

  #watchMeshFile(): void {
    const file = join(this.#directory, meshFileName);
    const watcher = watchFile(file, { ignoreInitial: true });
    let timer: NodeJS.Timeout | undefined;
    watcher.on('all', () => {
      clearTimeout(timer);
      timer = setTimeout(() => (this.#reconciling = this.#reconciling.then(() => this.#reconcile(file))), 100);
    });
    watcher.on('error', (error) =>
      this.#reporter.problem(`${meshFileName} cannot be watched: ${messageOf(error)}; restart to take changes of it`),
    );
    this.#stopWatching = async () => {
      clearTimeout(timer);
      await watcher.close();
      await this.#reconciling;
    };
  }

  /** Makes what runs equal to what the file says; what did not change is not touched, new comes before old. */
  async #reconcile(file: string): Promise<void> {
    if (this.#isStopping) return;
    const read = readMesh(file);
    const problems = 'diagnostics' in read ? read.diagnostics : this.#whyNotWhileRunning(read.mesh);
    this.#meshDiagnostics = problems.map((diagnostic) => ({
      ...diagnostic,
      message: `${diagnostic.message} (what runs is left as it is)`,
    }));
    this.#publish();
    if (problems.length > 0 || 'diagnostics' in read) return;
    const plan = createPlan(read.mesh);
    const current = new Map([...this.#instances.values()].map((instance) => [instance.planned.key, instance]));
    const wanted = new Map(plan.instances.map((planned) => [planned.key, planned]));
    const added = plan.instances.filter(
      (planned) => current.get(planned.key)?.planned.fingerprint !== planned.fingerprint,
    );
    const gone = [...current.values()].filter(
      (instance) => wanted.get(instance.planned.key)?.fingerprint !== instance.planned.fingerprint,
    );
    this.#mesh = read.mesh;
    this.#plan = plan;
    for (const instance of current.values())
      if (!gone.includes(instance))
        instance.setUpstreams(
          await assignUpstreams(instance.uid, instance.planned, plan.services, (purpose) =>
            this.#ports.allocate(purpose),
          ),
        );
    this.#publish();
    if (added.length > 0 || gone.length > 0)
      this.#reporter.step(
        `${meshFileName} changed: starting ${plural(added.length, 'workload')}, then ending ${gone.length}`,
      );
    // Ports that the file fixes cannot be held by two at once.
    const fixed = gone.filter((instance) => hasFixedPorts(instance.planned));
    await Promise.all(fixed.map((instance) => this.#removeInstance(instance)));
    const started: Instance[] = [];
    for (const planned of added) {
      const instance = await this.#addInstance(planned);
      started.push(instance);
      if (this.#options.isolate) this.#startDataPlane(instance.uid);
    }
    this.#publishNow();
    if (!this.#options.isolate) this.#tellDataPlane('');
    if (started.length > 0) await this.#settled(settleWithinMs);
    await Promise.all(
      gone.filter((instance) => !fixed.includes(instance)).map((instance) => this.#removeInstance(instance)),
    );
  }

  /** Changes that only a new start can make. */
  #whyNotWhileRunning(mesh: MeshFile): Diagnostic[] {
    const refuse = (path: string, message: string): Diagnostic => ({
      severity: 'error',
      code: 'LAT0006',
      object: '',
      file: meshFileName,
      line: 0,
      path,
      message,
    });
    const found: Diagnostic[] = [];
    if (mesh.meshConfig.trustDomain !== this.#mesh.meshConfig.trustDomain)
      found.push(
        refuse(
          'meshConfig.trustDomain',
          'cannot change while the mesh runs, because every identity changes with it; stop `lateen up` and start it again',
        ),
      );
    if (JSON.stringify(mesh.control) !== JSON.stringify(this.#mesh.control))
      found.push(refuse('control', 'cannot change while the mesh runs; stop `lateen up` and start it again'));
    return found;
  }

  // ---- telling everybody

  #publish(): void {
    this.#publishing ??= setImmediate(() => this.#publishNow());
  }

  #publishNow(): void {
    if (this.#publishing !== undefined) clearImmediate(this.#publishing);
    this.#publishing = undefined;
    if (this.#isStopping) return;
    const instances = [...this.#instances.values()];
    const run = this.#runEntries();
    const message: MeshState = {
      kind: 'mesh',
      sequence: ++this.#sequence,
      meshConfig: this.#mesh.meshConfig,
      workloadLifetimeMs: parseDurationMs(this.#mesh.certificates.workloadLifetime)!,
      services: this.#plan.services,
      workloads: instances.map(({ workload }) => workload),
      tokens: Object.fromEntries(instances.map(({ uid, token }) => [uid, token])),
      run,
      diagnostics: [...this.#meshDiagnostics, ...this.#applicationDiagnostics()],
    };
    this.#control.send(message);
    this.#writeRunFile(run);
  }

  #runEntries(): RunEntry[] {
    return [...this.#instances.values()].map((instance) => instance.runEntry(this.#proxyPid(instance.uid)));
  }

  #applicationDiagnostics(): Diagnostic[] {
    return [...this.#instances.values()].flatMap(({ name, planned, problem }) =>
      problem === undefined
        ? []
        : [
            {
              severity: 'error' as const,
              code: 'LAT0009' as const,
              object: `Workload/${planned.key}`,
              file: meshFileName,
              line: 0,
              path: `services.${planned.service}`,
              message: `${name}: ${problem}`,
            },
          ],
    );
  }

  #writeRunFile(workloads: readonly RunEntry[]): void {
    const control = this.#control.pid;
    const data = this.#options.isolate ? undefined : this.#dataPlanes.get('')?.pid;
    const pids = [
      process.pid,
      control,
      data,
      this.#guard.pid,
      ...workloads.flatMap(({ pid, proxyPid }) => [pid, proxyPid]),
    ].filter((pid): pid is number => typeof pid === 'number');
    const file: RunFile = {
      workloads,
      pids: { supervisor: process.pid, control: control ?? null, data: data ?? null },
      url: this.url,
      directory: this.#directory,
      startTimes: Object.fromEntries(
        [...new Set(pids)]
          .flatMap((pid) => [[String(pid), findStartTime(pid)] as const])
          .filter((entry): entry is [string, string] => entry[1] !== undefined),
      ),
      runId: this.#runId,
    };
    try {
      this.#state.write('run', `${JSON.stringify(file, null, 2)}\n`);
    } catch (error) {
      this.#reporter.problem(`cannot write run.json: ${messageOf(error)}; other commands will not find this mesh`);
    }
  }
}

function describeInstance(
  { name, spiffeId, ports, outboundHttp }: Instance['workload'],
  { command }: PlannedInstance,
): string {
  const [first] = ports;
  const place = (at: { address: string; port: number }) => `${at.address}:${at.port}`;
  const serves =
    first === undefined
      ? 'only calls others'
      : `application ${place(first.app)}${command === undefined ? ' (runs already)' : ''}, mesh ${place(first.inbound)}`;
  return `${name}: ${spiffeId}, ${serves}, outbound ${place(outboundHttp)}`;
}

function hasFixedPorts({ fixed }: PlannedInstance): boolean {
  return fixed.inbound !== 0 || fixed.outbound !== 0 || fixed.upstreams.size > 0;
}

function createSocketFolder(): string {
  const candidates = [process.env['XDG_RUNTIME_DIR'], tmpdir(), '/tmp'].filter(
    (path): path is string => path !== undefined && path !== '',
  );
  for (const base of candidates) {
    if (join(base, 'lateen-XXXXXX', 'xds.sock').length > longestSocketPath) continue;
    try {
      return mkdtempSync(join(base, 'lateen-'));
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  }
  throw new UserError(
    `no folder for sockets: none of ${candidates.join(', ')} can be written and is short enough; set XDG_RUNTIME_DIR to one that is`,
  );
}

async function withinTime(promise: Promise<void>, longestMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, longestMs)))]);
  clearTimeout(timer);
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
