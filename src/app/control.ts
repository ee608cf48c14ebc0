// The control plane of `lateen up`, put together: sources feed the Store, snapshots are compiled and served, certificates
// are issued, observations are collected and shown. It is a child of the supervisor and ends with it.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { rmSync } from 'node:fs';
import type { Server as HttpServer } from 'node:http';
import type { Diagnostic } from '../api/diagnostic.js';
import { startAdminServer } from '../admin/http-server.js';
import type { MeshView, ObjectView } from '../admin/mesh-view.js';
import { objectKey, type MeshObject } from '../api/object.js';
import { Authority } from '../ca/authority.js';
import { createCertificate } from '../ca/certificate-service.js';
import { createServerCertificate } from '../ca/server-certificate.js';
import { compileWorkload } from '../compile/compile.js';
import { findPlaintextWorkloads, findProblems } from '../compile/findings.js';
import { IstioCertificateService } from '../identity/gen/istio-ca_pb.js';
import { StateFolder } from '../local/state-folder.js';
import type { Service } from '../model/service.js';
import { Store } from '../model/store.js';
import { DirectorySource, meshFileName, type LastGoodStore } from '../sources/directory.js';
import type { SourceState } from '../sources/source.js';
import { Collector } from '../telemetry/collector.js';
import { ObservationService } from '../telemetry/gen/observation_pb.js';
import { ObservationServer } from '../telemetry/observation-service.js';
import { codeOf, messageOf, UserError } from '../util/errors.js';
import { grpcService } from '../util/grpc.js';
import { Logger } from '../util/logger.js';
import { memoize } from '../util/memoize.js';
import { AggregatedDiscoveryService } from '../xds/messages.js';
import { AdsServer } from '../xds/server/ads-server.js';
import type { ControlStart, FromControl, MeshState, ToControl } from './role-messages.js';
import { TokenTable } from './tokens.js';
import { version } from '../util/version.js';

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
  readonly #collector = new Collector(Date.now);
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
      resourcesOf: (uid) => {
        const workload = this.#store.snapshot.workloads.get(uid);
        return workload === undefined ? undefined : compiled(this.#store.snapshot, workload).resources;
      },
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
    await control.#serveGrpc(options, authority, log);
    const { port } = await control.#serveAdmin(options);
    control.#tellDiagnostics();
    send({ kind: 'listening', httpPort: port, authorityIsNew: isNew, rootNotAfterMs: authority.rootNotAfterMs });
    return control;
  }

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
    ];
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

  async #serveGrpc(options: ControlStart, authority: Authority, log: Logger): Promise<void> {
    const server = new Server({ 'grpc.max_receive_message_length': 4 * 1024 * 1024, 'grpc.enable_channelz': 0 });
    server.addService(grpcService(AggregatedDiscoveryService), { deltaAggregatedResources: this.#ads.handle });
    server.addService(grpcService(IstioCertificateService), {
      createCertificate: createCertificate({
        authority,
        authenticate: (metadata) =>
          this.#store.snapshot.workloads.get(this.#tokens.authenticate(metadata) ?? '')?.spiffeId,
        lifetimeMs: () => this.#mesh.workloadLifetimeMs,
        log,
      }),
    });
    server.addService(grpcService(ObservationService), { observe: this.#observation.handle });
    // A control plane that was killed leaves its socket behind; the supervisor's lock says that nobody else uses it.
    rmSync(options.socketPath, { force: true });
    await bind(server, `unix:${options.socketPath}`, ServerCredentials.createInsecure());
    if (options.xdsPort !== 0) await bind(server, `127.0.0.1:${options.xdsPort}`, ServerCredentials.createInsecure());
    if (options.xdsTlsPort !== 0)
      await bind(server, `127.0.0.1:${options.xdsTlsPort}`, await serverCredentials(authority));
  }

  async #serveAdmin(options: ControlStart): Promise<{ server: HttpServer; port: number }> {
    const view: MeshView = {
      version,
      directory: options.directory,
      trustDomain: this.#mesh.meshConfig.trustDomain,
      workloads: () => this.#mesh.run.map((entry, i) => ({ ...entry, uid: this.#mesh.workloads[i]!.uid })),
      objects: () => this.#objects(),
      diagnostics: () => this.#diagnostics(),
      plaintextWorkloads: () => this.#plaintext(),
      proxies: () => this.#ads.states(),
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

  #objects(): ObjectView[] {
    const messages = new Map<string, string>();
    for (const { severity, object, message } of this.#source.diagnostics)
      if (severity === 'error' && !messages.has(object)) messages.set(object, message);
    const refused = new Map(this.#source.refused.map((identity) => [objectKey(identity), identity]));
    const inForce = this.#source.objects.map((object): ObjectView => {
      const isRefused = refused.delete(objectKey(object));
      return {
        object,
        accepted: !isRefused,
        message: isRefused ? (messages.get(objectKey(object)) ?? '') : 'in force',
      };
    });
    const named = new Set(inForce.map(({ object }) => objectKey(object)));
    return [
      ...inForce,
      ...this.#store.snapshot.services.all.map(asServiceObject).filter(({ object }) => !named.has(objectKey(object))),
      ...[...refused].map(([key, object]): ObjectView => ({
        object,
        accepted: false,
        message: messages.get(key) ?? '',
      })),
    ];
  }
}

/** A service of mesh.yaml as the object that it would be in Kubernetes. */
function asServiceObject({ name, namespace, ports }: Service): ObjectView {
  const origin = { file: meshFileName, line: 0 };
  const spec = { ports: ports.map((port) => ({ name: port.name, port: port.port })) };
  return {
    object: { apiVersion: 'v1', kind: 'Service', name, namespace, labels: {}, annotations: {}, spec, origin },
    accepted: true,
    message: 'in force',
  };
}

async function openAuthority(
  state: StateFolder,
  trustDomain: string,
): Promise<{ authority: Authority; isNew: boolean }> {
  const file = state.read('authority');
  if (file !== undefined) {
    try {
      return { authority: await Authority.open(file), isNew: false };
    } catch (error) {
      throw new UserError(
        `the authority in ${state.path}/authority.pem cannot be read: ${messageOf(error)}; restore the file, or remove it to get a new authority`,
      );
    }
  }
  const created = await Authority.create(trustDomain, Date.now());
  state.write('authority', created.file);
  return { authority: created.authority, isNew: true };
}

/** The last good objects in the state folder; unreadable ones count as none. */
function lastGoodIn(state: StateFolder, log: Logger): LastGoodStore {
  return {
    load: () => {
      const text = state.read('lastGood');
      if (text === undefined) return [];
      try {
        return (JSON.parse(text) as { objects: MeshObject[] }).objects;
      } catch (error) {
        log.warn('the last good configuration cannot be read; it begins anew', { reason: messageOf(error) });
        return [];
      }
    },
    save: (objects) => state.write('lastGood', JSON.stringify({ objects })),
  };
}

async function serverCredentials(authority: Authority): Promise<ServerCredentials> {
  const { privateKeyPem, chainPem } = await createServerCertificate(authority, Date.now());
  return ServerCredentials.createSsl(
    Buffer.from(authority.rootPem),
    [{ private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(chainPem) }],
    false,
  );
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<void> {
  return new Promise((resolve, reject) =>
    server.bindAsync(address, credentials, (error) =>
      error === null ? resolve() : reject(new Error(`cannot serve xDS on ${address}: ${error.message}`)),
    ),
  );
}
