// The control plane of `lateen up`, put together: sources feed the Store, snapshots are compiled and served, certificates
// are issued, observations are collected and shown. It is a child of the supervisor and ends with it.
import type { Server as HttpServer } from 'node:http';
import type { Diagnostic } from '../../api/diagnostic.js';
import { startAdminServer } from '../../admin/http-server.js';
import type { MeshView, ProxyView } from '../../admin/mesh-view.js';
import { createCertificate } from '../../ca/certificate-service.js';
import { compileWorkload } from '../../compile/compile.js';
import { findServerFirstPorts, type ServerFirstListeners } from '../../compile/learned-findings.js';
import { findPlaintextWorkloads, findProblems } from '../../compile/findings.js';
import { StateFolder } from '../../local/state-folder.js';
import { Store } from '../../model/store.js';
import { DirectorySource } from '../../sources/directory.js';
import type { SourceState } from '../../sources/source.js';
import { Collector } from '../../telemetry/collector.js';
import { ObservationServer } from '../../telemetry/observation-service.js';
import { codeOf, messageOf, UserError } from '../../util/errors.js';
import { Logger } from '../../util/logger.js';
import { memoize } from '../../util/memoize.js';
import type { Resources } from '../../xds/resources.js';
import { AdsServer } from '../../xds/server/ads-server.js';
import type { ControlStart, FromControl, MeshState, ToControl } from '../role-messages.js';
import { serveGrpc } from './grpc-server.js';
import { viewProxyConfig } from './proxy-config.js';
import { lastGoodIn, openAuthority } from './saved-state.js';
import { TokenTable } from './tokens.js';
import { viewObjects, viewProxies, viewProxyStatus } from './views.js';
import { version } from '../../util/version.js';

const compiled = memoize(compileWorkload);
/** How long /metrics waits for fresh numbers. */
const refreshMs = 300;

/** Runs the control plane until the supervisor goes away. */
export function runControl(send: (message: FromControl) => void): (message: ToControl) => void {
  let started: Promise<ControlPlane> | undefined;
  let startMessage: ControlStart | undefined;
  return (message) => {
    if (message.kind === 'start') {
      startMessage = message;
      return;
    }
    if (started === undefined) {
      started = ControlPlane.start(startMessage!, message, send);
      started.catch((error: unknown) => send({ kind: 'fatal', message: messageOf(error) }));
    } else void started.then((control) => control.setMesh(message)).catch(() => undefined); // told above
  };
}

class ControlPlane {
  readonly #send: (message: FromControl) => void;
  readonly #store: Store;
  readonly #tokens = new TokenTable();
  readonly #collector = new Collector(Date.now, () => this.#tellDiagnostics());
  readonly #ads: AdsServer;
  readonly #observation: ObservationServer;
  #source: SourceState;
  #mesh: MeshState;
  #waitingForSync = 0;

  private constructor(mesh: MeshState, source: SourceState, send: (message: FromControl) => void) {
    this.#send = send;
    this.#mesh = mesh;
    this.#source = source;
    this.#store = new Store(mesh.meshConfig);
    const authenticate = this.#tokens.authenticate;
    this.#ads = new AdsServer({
      authenticate,
      resourcesOf: this.#resourcesOf,
      onStateChange: () => this.#tellSynced(),
    });
    this.#observation = new ObservationServer({ collector: this.#collector, authenticate });
    this.setMesh(mesh);
    this.#applySource(source);
    this.#store.watch(() => {
      this.#ads.publish();
      this.#tellDiagnostics();
    });
  }

  static async start(
    options: ControlStart,
    mesh: MeshState,
    send: (message: FromControl) => void,
  ): Promise<ControlPlane> {
    const log = new Logger('control');
    const state = new StateFolder(options.directory);
    const { authority, isNew } = await openAuthority(state, mesh.meshConfig.trustDomain);
    const directory = new DirectorySource(options.directory, lastGoodIn(state, log), log);
    const control = new ControlPlane(mesh, await directory.start(), send);
    directory.watch((changed) => control.#applySource(changed));
    // Proxies are answered only from here on, when everything is known: a half-read mesh is never served.
    await serveGrpc(options, authority, {
      deltaAggregatedResources: control.#ads.handle,
      createCertificate: createCertificate({
        authority,
        authenticate: (metadata) =>
          control.#store.snapshot.workloads.get(control.#tokens.authenticate(metadata) ?? '')?.spiffeId,
        lifetimeMs: () => control.#mesh.workloadLifetimeMs,
        log,
      }),
      observe: control.#observation.handle,
    });
    const { port } = await control.#serveAdmin(options);
    control.#tellDiagnostics();
    send({ kind: 'listening', httpPort: port, authorityIsNew: isNew, rootNotAfterMs: authority.rootNotAfterMs });
    return control;
  }

  /** What the proxy of a workload should have; undefined where the workload is gone. */
  readonly #resourcesOf = (uid: string): Resources | undefined => {
    const { snapshot } = this.#store;
    const workload = snapshot.workloads.get(uid);
    return workload === undefined ? undefined : compiled(snapshot, workload).resources;
  };

  /** Takes what the supervisor says is running. */
  setMesh(mesh: MeshState): void {
    this.#mesh = mesh;
    this.#tokens.set(mesh.tokens);
    for (const uid of this.#store.snapshot.workloads.keys())
      if (mesh.tokens[uid] === undefined) this.#collector.forget(uid);
    this.#store.apply({ meshConfig: mesh.meshConfig, services: mesh.services, workloads: mesh.workloads });
    this.#waitingForSync = mesh.sequence;
    this.#tellSynced();
  }

  #applySource(source: SourceState): void {
    this.#source = source;
    this.#store.apply({ objects: source.objects });
    this.#tellDiagnostics();
  }

  #diagnostics(): readonly Diagnostic[] {
    return [
      ...this.#mesh.diagnostics,
      ...this.#source.diagnostics,
      ...findProblems(this.#store.snapshot),
      ...this.#proxyProblems(),
      ...findServerFirstPorts(this.#store.snapshot, this.#serverFirstListeners()),
    ];
  }

  #serverFirstListeners(): ServerFirstListeners[] {
    return [...this.#store.snapshot.workloads.keys()].map((workload) => ({
      workload,
      listeners: this.#collector
        .learnedBy(workload)
        .flatMap(({ listener, protocol }) => (protocol === 'server-first' ? [listener] : [])),
    }));
  }

  #proxyProblems(): Diagnostic[] {
    return this.#ads.states().flatMap(({ workload, errors }) =>
      errors.map(({ type, message }): Diagnostic => ({
        severity: 'error',
        code: 'LAT0008',
        object: `Workload/${workload}`,
        file: 'mesh.yaml',
        line: 0,
        path: type,
        message: `its proxy refused configuration: ${message}`,
      })),
    );
  }

  #plaintext(): string[] {
    return findPlaintextWorkloads(this.#store.snapshot).map((workload) => workload.name);
  }

  #tellDiagnostics(): void {
    this.#send({ kind: 'diagnostics', diagnostics: this.#diagnostics(), plaintext: this.#plaintext() });
  }

  #tellSynced(): void {
    if (this.#waitingForSync === 0 || this.#ads.states().some(({ synced }) => !synced)) return;
    this.#send({ kind: 'synced', sequence: this.#waitingForSync });
    this.#waitingForSync = 0;
  }

  #proxies(): ProxyView[] {
    return viewProxies(this.#ads.states(), (uid) => this.#collector.appliedBy(uid), this.#resourcesOf);
  }

  async #serveAdmin(options: ControlStart): Promise<{ server: HttpServer; port: number }> {
    const view: MeshView = {
      version,
      directory: options.directory,
      trustDomain: this.#mesh.meshConfig.trustDomain,
      isEnding: () => this.#mesh.isEnding,
      workloads: () => this.#mesh.run.map((entry, i) => ({ ...entry, uid: this.#mesh.workloads[i]!.uid })),
      objects: () => viewObjects(this.#source, this.#store.snapshot),
      diagnostics: () => this.#diagnostics(),
      plaintextWorkloads: () => this.#plaintext(),
      proxies: () => this.#proxies(),
      proxyStatus: () =>
        viewProxyStatus(
          this.#store.snapshot.workloads.values(),
          this.#proxies(),
          this.#resourcesOf,
          this.#collector.certificates,
        ),
      proxyConfig: (namespace, name) => {
        const { snapshot } = this.#store;
        const workload = [...snapshot.workloads.values()].find(
          (candidate) => candidate.namespace === namespace && candidate.name === name,
        );
        if (workload === undefined) return undefined;
        const { resources } = compiled(snapshot, workload);
        return viewProxyConfig(snapshot, workload, resources, this.#collector.learnedBy(workload.uid));
      },
      collector: this.#collector,
      refresh: () => this.#observation.refresh(refreshMs),
    };
    try {
      return await startAdminServer(view, options.httpPorts);
    } catch (error) {
      throw codeOf(error) === 'EADDRINUSE'
        ? new UserError(
            `port ${options.httpPorts[0]} is taken; set control.httpPort in mesh.yaml to another, or leave it out to have a free one chosen`,
          )
        : error;
    }
  }
}
