// Asks a control plane for one workload's configuration by delta ADS, keeps asking when the connection breaks, and says of
// every response whether it was taken. What was taken stays in force however long nobody answers.
import { create, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { Backoff } from '../../util/backoff.js';
import type { GrpcCall, GrpcChannel } from '../../util/grpc-channel.js';
import { grpcMethod } from '../../util/grpc-method.js';
import { messageOf } from '../../util/errors.js';
import {
  AggregatedDiscoveryService,
  DeltaDiscoveryRequestSchema,
  NodeSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type Node,
} from '../messages.js';
import { findResourceType, resourceSchemas, typeUrlOf, versionOfAll, type ResourceType } from '../resources.js';

const method = grpcMethod(AggregatedDiscoveryService.method.deltaAggregatedResources);
type Stream = GrpcCall<DeltaDiscoveryRequest>;

/** A decoded resource with its version. */
export interface ReceivedResource<T extends ResourceType = ResourceType> {
  readonly name: string;
  readonly version: string;
  readonly message: MessageShape<(typeof resourceSchemas)[T]>;
}

/** Why a resource was not taken. */
export interface RejectedResource {
  readonly name: string;
  readonly reason: string;
}

/** Takes configuration. */
export interface ResourceHandler {
  /** Applies what is good and returns what is not; called once a response. */
  apply<T extends ResourceType>(
    type: T,
    changed: readonly ReceivedResource<T>[],
    removed: readonly string[],
  ): readonly RejectedResource[];
}

export interface AdsClientOptions {
  /** Connection to the control plane, shared with other uses. */
  readonly channel: GrpcChannel;
  /** Credentials of the workload, as headers: name, value. */
  readonly headers: () => readonly string[];
  readonly node: () => Pick<Node, 'id' | 'cluster'> & { readonly metadata: NonNullable<Node['metadata']> };
  readonly handler: ResourceHandler;
  readonly onDisconnect?: (reason: string) => void;
}

interface TypeState {
  readonly wildcard: boolean;
  readonly names: Set<string>;
  /** Versions that were taken, told to the next control plane so that it sends only what differs. */
  readonly versions: Map<string, string>;
  /** One version for all of them; undefined until somebody asks. */
  version: string | undefined;
}

/** All that was taken of one type. */
export interface TakenResources {
  readonly type: ResourceType;
  readonly typeUrl: string;
  /** Equal where names and versions are equal. */
  readonly version: string;
  readonly resources: number;
}

export class AdsClient {
  readonly #options: AdsClientOptions;
  readonly #types = new Map<ResourceType, TypeState>();
  readonly #backoff = new Backoff({ firstMs: 100, longestMs: 5000 });
  #stream: Stream | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AdsClientOptions) {
    this.#options = options;
    for (const type of ['cluster', 'listener'] as const)
      this.#types.set(type, { wildcard: true, names: new Set(), versions: new Map(), version: undefined });
    for (const type of ['endpoints', 'routes'] as const)
      this.#types.set(type, { wildcard: false, names: new Set(), versions: new Map(), version: undefined });
  }

  /** Connects and goes on until `close`. */
  start(): void {
    this.#connect();
  }

  /** How many resources of each type were taken, and one version for all of them. */
  taken(): readonly TakenResources[] {
    return [...this.#types].map(([type, state]) => {
      state.version ??= versionOfAll(state.versions);
      return { type, typeUrl: typeUrlOf(type), version: state.version, resources: state.versions.size };
    });
  }

  /** Changes which resources of a type are wanted by name. */
  setNames(type: 'endpoints' | 'routes', names: ReadonlySet<string>): void {
    const state = this.#types.get(type)!;
    const added = [...names].filter((name) => !state.names.has(name));
    const dropped = [...state.names].filter((name) => !names.has(name));
    if (added.length === 0 && dropped.length === 0) return;
    for (const name of added) state.names.add(name);
    for (const name of dropped) {
      state.names.delete(name);
      state.versions.delete(name);
    }
    state.version = undefined;
    this.#stream?.write(
      create(DeltaDiscoveryRequestSchema, {
        typeUrl: typeUrlOf(type),
        resourceNamesSubscribe: added,
        resourceNamesUnsubscribe: dropped,
      }),
    );
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#stream?.cancel();
    this.#stream = undefined;
  }

  #connect(): void {
    const lost = (reason: string) => {
      if (this.#closed) return;
      this.#stream = undefined;
      this.#options.onDisconnect?.(reason);
      this.#retry = setTimeout(() => this.#connect(), this.#backoff.next());
    };
    const stream: Stream = this.#options.channel.call(
      method,
      {
        onMessage: (response) => {
          this.#backoff.reset();
          this.#receive(response);
        },
        onEnd: (failure) => lost(failure?.details ?? 'the control plane ended the stream'),
      },
      { headers: this.#options.headers() },
    );
    this.#stream = stream;
    for (const [type, state] of this.#types)
      if (state.wildcard || state.names.size > 0) stream.write(this.#firstRequest(type, state));
  }

  #firstRequest(type: ResourceType, state: TypeState): DeltaDiscoveryRequest {
    return create(DeltaDiscoveryRequestSchema, {
      node: create(NodeSchema, this.#options.node()),
      typeUrl: typeUrlOf(type),
      resourceNamesSubscribe: [...state.names],
      initialResourceVersions: Object.fromEntries(state.versions),
    });
  }

  #receive(response: DeltaDiscoveryResponse): void {
    const type = findResourceType(response.typeUrl);
    if (type === undefined) return;
    const state = this.#types.get(type)!;
    const changed: ReceivedResource[] = [];
    const rejected: RejectedResource[] = [];
    for (const { name, version, resource } of response.resources) {
      if (!state.wildcard && !state.names.has(name)) continue; // crossed with our giving it up
      try {
        if (resource?.typeUrl !== response.typeUrl) throw new Error(`is of type ${resource?.typeUrl}`);
        changed.push({
          name,
          version,
          message: fromBinary(resourceSchemas[type], resource.value) as ReceivedResource['message'],
        });
      } catch (error) {
        rejected.push({ name, reason: `cannot be decoded: ${messageOf(error)}` });
      }
    }
    rejected.push(...this.#options.handler.apply(type, changed, response.removedResources));
    const bad = new Set(rejected.map(({ name }) => name));
    for (const { name, version } of changed) if (!bad.has(name)) state.versions.set(name, version);
    for (const name of response.removedResources) state.versions.delete(name);
    state.version = undefined;
    this.#stream?.write(
      create(DeltaDiscoveryRequestSchema, {
        typeUrl: response.typeUrl,
        responseNonce: response.nonce,
        ...(rejected.length === 0
          ? {}
          : { errorDetail: { code: 3, message: rejected.map(({ name, reason }) => `${name}: ${reason}`).join('; ') } }),
      }),
    );
  }
}
