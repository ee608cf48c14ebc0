// `lateen up`, put together: one supervisor that starts and watches everything else. It holds no traffic and no keys; it
// knows what should run, what does, and tells both planes whenever that changes.
import { randomBytes } from 'node:crypto';
import { existsSync, realpathSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { formatDiagnostic, type Diagnostic } from '../../api/diagnostic.js';
import type { MeshFile } from '../../api/mesh-file.js';
import { cleanUpAfterCrash } from '../../local/crash-cleanup.js';
import { Guard } from '../../local/guard.js';
import { assignPorts, assignUpstreams, createPlan, type Plan, type PlannedInstance } from '../../local/plan.js';
import { PortAllocator } from '../../local/ports.js';
import { createSocketFolder } from '../../local/socket-folder.js';
import { StateFolder } from '../../local/state-folder.js';
import { meshFileName } from '../../sources/directory.js';
import { UserError } from '../../util/errors.js';
import { withinTime } from '../../util/within-time.js';
import { ControlRole } from './control-role.js';
import { DataRoles } from './data-roles.js';
import { Instance } from './instance.js';
import { MeshFileWatch, readMeshFile, whyNotWhileRunning, type ReadMeshFile } from './mesh-file-watch.js';
import { createMeshState, createRunEntries, writeRunFile, type Published } from './publisher.js';
import type { UpReporter } from './reporter.js';

export interface UpOptions {
  readonly directory: string;
  /** A data-plane process for every workload instead of one for all. */
  readonly isolate: boolean;
  /** Processes that share the ports of each data plane, 1 or more. */
  readonly workers: number;
  readonly reporter: UpReporter;
  /** Entry point of the program, for the mesh's own processes. */
  readonly program: string;
}

const defaultHttpPort = 15014;
/** How long `ready` waits for applications that are slow and not known to be broken. */
const settleWithinMs = 15_000;
/** How long proxies may take to stop sending to an instance that goes. */
const syncWithinMs = 3000;
/** How long requests may go on after Ctrl-C. */
const drainMs = 5000;
/** How long an instance may take to end what it carries: while another waits for its ports, or beside its successor. */
const removeWithinMs = { whileAwaited: 7000, beside: 47_000 };

/** Starts a mesh; resolves once everything that can run does. */
export async function startMesh(options: UpOptions): Promise<RunningMesh> {
  const directory = resolve(options.directory);
  const file = join(directory, meshFileName);
  if (!existsSync(file))
    throw new UserError(
      `there is no ${meshFileName} in ${directory}; name the folder that has one: \`lateen up DIR\``,
      2,
    );
  const read = readMeshFile(file);
  if ('diagnostics' in read)
    throw new UserError(
      `${file} is refused:\n${read.diagnostics.map((diagnostic) => `  ${formatDiagnostic(diagnostic)}`).join('\n')}`,
    );
  const state = new StateFolder(directory);
  state.create();
  state.lock();
  try {
    const ended = cleanUpAfterCrash(state);
    if (ended > 0)
      options.reporter.step(`ended ${plural(ended, 'process', 'processes')} that an earlier run had left behind`);
    const running = new RunningMesh(options, realpathSync(directory), state, read.mesh);
    await running.start();
    return running;
  } catch (error) {
    state.unlock();
    throw error;
  }
}

export class RunningMesh {
  readonly #directory: string;
  readonly #state: StateFolder;
  readonly #reporter: UpReporter;
  readonly #runId = randomBytes(8).toString('hex');
  readonly #sockets = createSocketFolder();
  readonly #ports = new PortAllocator();
  readonly #guard = new Guard(this.#sockets);
  readonly #control: ControlRole;
  readonly #data: DataRoles;
  /** By uid; while one is replaced both stand here. */
  readonly #instances = new Map<string, Instance>();
  /** What was last told of each instance. */
  readonly #told = new Map<string, string>();

  #mesh: MeshFile;
  #plan: Plan;
  #meshDiagnostics: readonly Diagnostic[] = [];
  #plaintext: readonly string[] = [];
  #sequence = 0;
  #generation = 0;
  #publishing: NodeJS.Immediate | undefined;
  #onSettled: (() => void) | undefined;
  #watch: MeshFileWatch | undefined;
  #isStopping = false;
  #isStopped = false;

  constructor(
    { reporter, program, isolate, workers }: UpOptions,
    directory: string,
    state: StateFolder,
    mesh: MeshFile,
  ) {
    this.#directory = directory;
    this.#state = state;
    this.#reporter = reporter;
    this.#mesh = mesh;
    this.#plan = createPlan(mesh);
    const socketPath = join(this.#sockets, 'control.sock');
    const guard = this.#guard;
    const onChange = () => this.#publishSoon();
    this.#control = new ControlRole({
      program,
      guard,
      reporter,
      onChange,
      startMessage: (lastHttpPort) => this.#controlStart(socketPath, lastHttpPort),
      state: () => createMeshState(this.#published(), ++this.#sequence),
      onDiagnostics: (diagnostics, plaintext) => {
        this.#plaintext = plaintext;
        reporter.diagnostics(diagnostics);
      },
    });
    this.#data = new DataRoles({ program, isolate, workers, directory, socketPath, guard, reporter, onChange });
  }

  async start(): Promise<void> {
    const { services, instances } = this.#plan;
    this.#reporter.step(
      `starting ${plural(services.length, 'service')} as ${plural(instances.length, 'workload')} from ${this.#directory}`,
    );
    for (const planned of instances) await this.#createInstance(planned);
    await this.#startControl();
    for (const instance of this.#instances.values()) this.#reporter.step(instance.describe());
    this.#data.add([...this.#instances.values()]);
    await this.#settled();
    this.#watch = new MeshFileWatch(join(this.#directory, meshFileName), {
      onChange: (read) => this.#reconcile(read),
      onFailure: (reason) =>
        this.#reporter.problem(`${meshFileName} cannot be watched: ${reason}; restart to take changes of it`),
    });
    this.#publish();
    await this.#control.synced(this.#sequence, settleWithinMs);
    this.#reporter.ready({
      url: this.#control.url,
      workloads: createRunEntries(this.#published()),
      plaintext: this.#plaintext,
    });
  }

  /** Ends everything: traffic first, then applications, then the mesh's own processes. `patient` false waits for nothing. */
  async stop(patient: boolean): Promise<void> {
    const isFirst = !this.#isStopping;
    this.#isStopping = true;
    if (isFirst) {
      this.#control.send(createMeshState(this.#published(), ++this.#sequence)); // not ready any more
      await this.#watch?.close();
      // Who only calls others ends first: then nobody is left to see a connection refused.
      const callers = [...this.#instances.values()].filter((instance) => instance.isCaller);
      this.#reporter.step('stopping: waiting for requests under way');
      await Promise.all(callers.map((instance) => instance.stop(patient)));
      await this.#data.drain(drainMs);
      this.#reporter.step('stopping: ending the applications');
    }
    await Promise.all([...this.#instances.values()].map((instance) => instance.stop(patient)));
    await Promise.all([this.#data.stop(patient ? 5000 : 0), this.#control.stop(patient ? 5000 : 0)]);
    if (this.#isStopped) return; // who was patient comes after who was not
    this.#isStopped = true;
    this.#guard.close();
    this.#ports.close();
    rmSync(this.#sockets, { recursive: true, force: true });
    this.#state.remove('run');
    this.#state.unlock();
    this.#reporter.step('stopped');
  }

  async #startControl(): Promise<void> {
    try {
      const { authorityIsNew, rootNotAfterMs } = await this.#control.start();
      const until = new Date(rootNotAfterMs).toISOString().slice(0, 10);
      const origin = authorityIsNew ? 'made now' : 'kept from before';
      this.#reporter.step(`authority of ${this.#mesh.meshConfig.trustDomain}: ${origin}, valid until ${until}`);
    } catch (error) {
      await this.stop(false);
      throw error;
    }
  }

  #controlStart(socketPath: string, lastHttpPort: number | undefined) {
    const { httpPort, xdsPort, xdsTlsPort } = this.#mesh.control;
    const wanted = httpPort === undefined ? [defaultHttpPort, 0] : [httpPort];
    // Started again it comes back at the address that people have open.
    const httpPorts = lastHttpPort === undefined ? wanted : [lastHttpPort, ...wanted];
    return { kind: 'start', directory: this.#directory, socketPath, httpPorts, xdsPort, xdsTlsPort } as const;
  }

  // ---- instances

  async #createInstance(planned: PlannedInstance): Promise<Instance> {
    const uid = this.#instances.has(planned.key) ? `${planned.key}~${++this.#generation}` : planned.key;
    const workload = await assignPorts(uid, planned, this.#plan.services, (purpose) => this.#ports.allocate(purpose));
    const instance = new Instance(planned, workload, {
      directory: this.#directory,
      runId: this.#runId,
      guard: this.#guard,
      services: () => this.#plan.services,
      onLine: (name, line) => this.#reporter.output(name, line),
      onChange: (changed) => this.#onInstance(changed),
    });
    this.#instances.set(uid, instance);
    return instance;
  }

  #onInstance(instance: Instance): void {
    const { uid, name, problem } = instance;
    // Restarts change the numbers in a sentence, and sometimes end before their last line is read, but not what is wrong: it
    // is told once, and again when it was right between.
    const essence =
      problem?.replace(/[\d.]+ s|; its last line was: .*/g, '') ?? (instance.isReady ? 'ready' : undefined);
    if (essence !== undefined && essence !== this.#told.get(uid)) {
      this.#told.set(uid, essence);
      if (problem === undefined) this.#reporter.step(`${name} is ready`);
      else this.#reporter.problem(`${name}: ${problem}`);
    }
    this.#publishSoon();
    this.#checkSettled();
  }

  /** Callers start when everybody else works or is known not to; then the mesh is as ready as it gets. */
  #checkSettled(): void {
    const instances = [...this.#instances.values()];
    if (!instances.every((instance) => instance.isCaller || instance.isSettled)) return;
    for (const instance of instances) instance.allowStart();
    if (instances.every((instance) => instance.isSettled)) this.#onSettled?.();
  }

  /** Resolves when every instance works or is known not to. */
  async #settled(): Promise<void> {
    const settled = new Promise<void>((done) => (this.#onSettled = done));
    this.#checkSettled();
    await withinTime(settled, settleWithinMs);
    this.#onSettled = undefined;
    for (const instance of this.#instances.values()) instance.allowStart();
  }

  /** Takes an instance out of service; what it has begun may go on for `longestMs`. */
  async #removeInstance(instance: Instance, longestMs: number): Promise<void> {
    instance.retire();
    this.#publish();
    await this.#control.synced(this.#sequence, syncWithinMs);
    await this.#data.remove(instance, longestMs);
    await instance.stop(true);
    this.#instances.delete(instance.uid);
    this.#told.delete(instance.uid);
    this.#publishSoon();
  }

  // ---- changes of mesh.yaml

  /** Makes what runs equal to what the file says; what did not change is not touched, new comes before old. */
  async #reconcile(read: ReadMeshFile): Promise<void> {
    if (this.#isStopping) return;
    const problems = 'diagnostics' in read ? read.diagnostics : whyNotWhileRunning(this.#mesh, read.mesh);
    this.#meshDiagnostics = problems.map((diagnostic) => ({
      ...diagnostic,
      message: `${diagnostic.message} (what runs is left as it is)`,
    }));
    this.#publishSoon();
    if (problems.length > 0 || 'diagnostics' in read) return;

    const plan = createPlan(read.mesh);
    const wanted = new Map(plan.instances.map((planned) => [planned.key, planned]));
    const current = [...this.#instances.values()].filter((instance) => !instance.isRetired);
    const gone = current.filter(({ planned }) => wanted.get(planned.key)?.fingerprint !== planned.fingerprint);
    const kept = new Set(current.filter((instance) => !gone.includes(instance)).map(({ planned }) => planned.key));
    const added = plan.instances.filter(({ key }) => !kept.has(key));
    this.#mesh = read.mesh;
    this.#plan = plan;
    await this.#updateUpstreams(current.filter((instance) => !gone.includes(instance)));
    this.#publish();
    if (added.length === 0 && gone.length === 0) return;
    this.#reporter.step(
      `${meshFileName} changed: starting ${plural(added.length, 'workload')}, then ending ${gone.length}`,
    );
    // Ports that the file fixes cannot be held by two at once.
    const fixed = gone.filter((instance) => instance.hasFixedPorts);
    await Promise.all(fixed.map((instance) => this.#removeInstance(instance, removeWithinMs.whileAwaited)));
    const started: Instance[] = [];
    for (const planned of added) started.push(await this.#createInstance(planned));
    this.#publish();
    this.#data.add(started);
    if (started.length > 0) await this.#settled();
    // Nothing waits for these: a download may be long, and the next change comes meanwhile.
    for (const instance of gone)
      if (!fixed.includes(instance)) void this.#removeInstance(instance, removeWithinMs.beside);
  }

  /** A new service needs a port in every workload; applications see it in their environment when they start next. */
  async #updateUpstreams(instances: readonly Instance[]): Promise<void> {
    for (const instance of instances)
      instance.setUpstreams(
        await assignUpstreams(instance.uid, instance.planned, this.#plan.services, (purpose) =>
          this.#ports.allocate(purpose),
        ),
      );
  }

  // ---- telling everybody

  #published(): Published {
    return {
      mesh: this.#mesh,
      plan: this.#plan,
      instances: [...this.#instances.values()],
      meshDiagnostics: this.#meshDiagnostics,
      isEnding: this.#isStopping,
      proxyPidOf: (uid) => this.#data.pidOf(uid),
      workerPidsOf: (uid) => this.#data.workerPidsOf(uid),
    };
  }

  /** Several changes within a turn are told once. */
  #publishSoon(): void {
    this.#publishing ??= setImmediate(() => this.#publish());
  }

  #publish(): void {
    if (this.#publishing !== undefined) clearImmediate(this.#publishing);
    this.#publishing = undefined;
    if (this.#isStopping) return;
    const state = createMeshState(this.#published(), ++this.#sequence);
    this.#control.send(state);
    const pids = { control: this.#control.pid, data: this.#data.nodePid, guard: this.#guard.pid };
    writeRunFile(
      this.#state,
      state.run,
      pids,
      { url: this.#control.url, directory: this.#directory, runId: this.#runId },
      this.#reporter,
    );
  }
}

function plural(count: number, word: string, words = `${word}s`): string {
  return `${count} ${count === 1 ? word : words}`;
}
