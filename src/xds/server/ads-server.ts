// Serves configuration by delta ADS. Each stream belongs to the workload whose token it brought and sees only what was
// compiled for that workload. A slow proxy gets the newest state when it is ready for it, never a queue.
import type { Metadata as GrpcMetadata, ServerDuplexStream } from '@grpc/grpc-js';
import { create } from '@bufbuild/protobuf';
import { refuseUnauthenticated } from '../../util/grpc.js';
import { DeltaDiscoveryResponseSchema, type DeltaDiscoveryRequest, type DeltaDiscoveryResponse } from '../messages.js';
import { findResourceType, resourceTypes, typeUrlOf, type Resources, type ResourceType } from '../resources.js';
import { Subscription, type Delta } from './subscription.js';

/**
 * Resources in one message. A proxy decodes and applies a message in one turn, in which it serves nobody; what is left follows
 * when it has taken them.
 */
const mostResources = 250;

type Call = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export interface AdsServerOptions {
  /** The workload that the call's credentials prove; undefined refuses the call. */
  readonly authenticate: (metadata: GrpcMetadata) => string | undefined;
  /** What the workload should have now; undefined where it exists no longer. */
  readonly resourcesOf: (workload: string) => Resources | undefined;
  /** Called when a proxy takes or refuses something. */
  readonly onStateChange?: (state: ProxyState) => void;
}

/** How far a proxy has come. */
export interface ProxyState {
  readonly workload: string;
  /** Whether it has acknowledged all that it should have. */
  readonly synced: boolean;
  /** What it refused, by type. */
  readonly errors: readonly { readonly type: ResourceType; readonly message: string }[];
  /** Its streams: one for each process that serves the workload. */
  readonly streams: number;
}

/** Delta ADS for any number of proxies. */
export class AdsServer {
  readonly #options: AdsServerOptions;
  readonly #streams = new Set<AdsStream>();

  constructor(options: AdsServerOptions) {
    this.#options = options;
  }

  /** Handles one DeltaAggregatedResources call. */
  readonly handle = (call: Call): void => {
    const workload = this.#options.authenticate(call.metadata);
    if (workload === undefined) {
      refuseUnauthenticated(call, 'the token is not one of a workload of this mesh');
      return;
    }
    const stream = new AdsStream(call, workload, this.#options);
    this.#streams.add(stream);
    call.on('close', () => this.#streams.delete(stream));
  };

  /** Sends to every proxy what has changed for it. */
  publish(): void {
    for (const stream of this.#streams) stream.push();
  }

  /** The state of every connected proxy; one of several processes has come as far as the last of them. */
  states(): ProxyState[] {
    const states = new Map<string, ProxyState>();
    for (const stream of this.#streams) {
      const state = stream.state();
      const other = states.get(state.workload);
      states.set(state.workload, other === undefined ? state : together(other, state));
    }
    return [...states.values()];
  }

  /** Ends all streams. */
  close(): void {
    for (const stream of this.#streams) stream.end();
  }
}

function together(a: ProxyState, b: ProxyState): ProxyState {
  const isNew = (error: ProxyState['errors'][number]) =>
    !a.errors.some(({ type, message }) => type === error.type && message === error.message);
  return {
    workload: a.workload,
    synced: a.synced && b.synced,
    errors: [...a.errors, ...b.errors.filter(isNew)],
    streams: a.streams + b.streams,
  };
}

class AdsStream {
  readonly #call: Call;
  readonly #workload: string;
  readonly #options: AdsServerOptions;
  readonly #subscriptions = new Map<ResourceType, Subscription>();
  #nonce = 0;
  #blocked = false;

  constructor(call: Call, workload: string, options: AdsServerOptions) {
    this.#call = call;
    this.#workload = workload;
    this.#options = options;
    call.on('data', (request: DeltaDiscoveryRequest) => this.#receive(request));
    call.on('end', () => call.end());
    call.on('error', () => undefined); // the client is gone; 'close' follows
    call.on('drain', () => {
      this.#blocked = false;
      this.push();
    });
  }

  /** Sends what the proxy lacks, in an order in which a name is defined before it is used and dropped after. */
  push(): void {
    const wanted = this.#options.resourcesOf(this.#workload);
    if (wanted === undefined) {
      this.end();
      return;
    }
    let earlierPending = false;
    for (const type of resourceTypes) {
      const subscription = this.#subscriptions.get(type);
      if (subscription === undefined || this.#blocked) continue;
      // Listeners and routes refer to clusters and endpoints: they wait until those have arrived.
      if (earlierPending && (type === 'listener' || type === 'routes')) continue;
      const delta = this.#due(type, subscription, wanted);
      if (delta !== undefined) this.#send(type, subscription, delta);
      earlierPending ||= subscription.isPending;
    }
  }

  state(): ProxyState {
    const wanted = this.#options.resourcesOf(this.#workload);
    const errors = [...this.#subscriptions].flatMap(([type, { lastError }]) =>
      lastError === undefined ? [] : [{ type, message: lastError }],
    );
    const open = [...this.#subscriptions].some(
      ([type, subscription]) =>
        subscription.isPending || (wanted !== undefined && this.#due(type, subscription, wanted) !== undefined),
    );
    return {
      workload: this.#workload,
      synced: this.#subscriptions.has('cluster') && this.#subscriptions.has('listener') && !open,
      errors,
      streams: 1,
    };
  }

  end(): void {
    this.#call.end();
  }

  /** What may be sent now of one type. */
  #due(type: ResourceType, subscription: Subscription, wanted: Resources): Delta | undefined {
    const delta = subscription.diff(wanted[type]);
    const isReferredTo = type === 'cluster' || type === 'endpoints';
    return delta !== undefined && isReferredTo ? this.#withoutEarlyRemovals(delta, wanted) : delta;
  }

  /**
   * A cluster and its endpoints go only after listeners and routes that may name it have been replaced. Where the proxy
   * refused those, the old ones are still in force.
   */
  #withoutEarlyRemovals(delta: Delta, wanted: Resources): Delta | undefined {
    const stillReferred = (['listener', 'routes'] as const).some((type) => {
      const subscription = this.#subscriptions.get(type);
      if (subscription === undefined) return false;
      const { isPending, lastError } = subscription;
      return isPending || lastError !== undefined || subscription.diff(wanted[type]) !== undefined;
    });
    if (!stillReferred || delta.removed.length === 0) return delta;
    return delta.changed.length === 0 ? undefined : { changed: delta.changed, removed: [] };
  }

  #receive(request: DeltaDiscoveryRequest): void {
    const type = findResourceType(request.typeUrl);
    if (type === undefined) return; // nothing of that type exists here; not answering is how xDS says so
    let subscription = this.#subscriptions.get(type);
    if (subscription === undefined) this.#subscriptions.set(type, (subscription = new Subscription()));
    subscription.receive({ ...request, errorMessage: request.errorDetail?.message });
    this.push();
    if (request.responseNonce !== '') this.#options.onStateChange?.(this.state());
  }

  #send(type: ResourceType, subscription: Subscription, due: Delta): void {
    const nonce = String(++this.#nonce);
    const hasMore = due.changed.length > mostResources;
    // What goes, goes when everything is there that takes its place.
    const delta = hasMore ? { changed: due.changed.slice(0, mostResources), removed: [] } : due;
    subscription.sent(delta, nonce, hasMore);
    const response = create(DeltaDiscoveryResponseSchema, {
      typeUrl: typeUrlOf(type),
      nonce,
      resources: delta.changed.map(({ name, version, typeUrl, bytes }) => ({
        name,
        version,
        resource: { typeUrl, value: bytes },
      })),
      removedResources: [...delta.removed],
    });
    if (!this.#call.write(response)) this.#blocked = true;
  }
}
