// What one proxy asked for of one type, what it was sent, and what it answered. A value machine without I/O.
import type { ResourceSet, VersionedResource } from '../resources.js';

/** What to send next of one type. */
export interface Delta {
  readonly changed: readonly VersionedResource[];
  readonly removed: readonly string[];
}

/** The fields of a delta request that concern a subscription. */
export interface SubscriptionRequest {
  readonly resourceNamesSubscribe: readonly string[];
  readonly resourceNamesUnsubscribe: readonly string[];
  readonly initialResourceVersions: Readonly<Record<string, string>>;
  readonly responseNonce: string;
  /** Present where the proxy refuses what it was sent. */
  readonly errorMessage: string | undefined;
}

const everything = '*';
/** In the place of a version: what the proxy holds is open, so it is sent, or said to be gone, once more. */
const unsure = '?';

export class Subscription {
  #wildcard = false;
  readonly #names = new Set<string>();
  /** Version of everything that the proxy holds or is about to receive; empty for "asked for and does not exist". */
  readonly #held = new Map<string, string>();
  #pendingNonce: string | undefined;
  #begun = false;
  #lastError: string | undefined;
  /** Whether the response before, and the one under way, leave something for the next. */
  #hadMore = false;
  #hasMore = false;

  /** Whether a response is under way: the next waits for its answer, and then carries the newest state. */
  get isPending(): boolean {
    return this.#pendingNonce !== undefined;
  }

  /** Why the proxy refused the last response, or one of those that belong together; undefined where it took them. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Takes a request: subscription changes and, where it carries a nonce, the answer to a response. */
  receive(request: SubscriptionRequest): void {
    if (!this.#begun) this.#begin(request);
    for (const name of request.resourceNamesUnsubscribe) this.#unsubscribe(name);
    for (const name of request.resourceNamesSubscribe) this.#subscribe(name);
    if (request.responseNonce !== '' && request.responseNonce === this.#pendingNonce) {
      this.#pendingNonce = undefined;
      this.#lastError = request.errorMessage ?? (this.#hadMore ? this.#lastError : undefined);
    }
  }

  /** What the proxy lacks or has too much of `wanted`; undefined where nothing is to be sent now. */
  diff(wanted: ResourceSet): Delta | undefined {
    if (this.isPending) return undefined;
    const changed: VersionedResource[] = [];
    const removed: string[] = [];
    if (this.#wildcard)
      for (const resource of wanted.values())
        if (this.#held.get(resource.name) !== resource.version) changed.push(resource);
    for (const name of this.#names) {
      const resource = wanted.get(name);
      if (resource === undefined) {
        if (this.#held.get(name) !== '') removed.push(name);
      } else if (!this.#wildcard && this.#held.get(name) !== resource.version) changed.push(resource);
    }
    for (const [name, version] of this.#held)
      if (version !== '' && !wanted.has(name) && !this.#names.has(name)) removed.push(name);
    return changed.length === 0 && removed.length === 0 ? undefined : { changed, removed };
  }

  /**
   * Notes that `delta` leaves now under `nonce`.
   * @param hasMore whether it is only a part of what is due, so that the next response belongs to it
   */
  sent(delta: Delta, nonce: string, hasMore = false): void {
    this.#hadMore = this.#hasMore;
    this.#hasMore = hasMore;
    for (const resource of delta.changed) this.#held.set(resource.name, resource.version);
    for (const name of delta.removed) {
      if (this.#names.has(name)) this.#held.set(name, '');
      else this.#held.delete(name);
    }
    this.#pendingNonce = nonce;
  }

  #begin(request: SubscriptionRequest): void {
    this.#begun = true;
    // Nothing named in the first request means everything, as for listeners and clusters.
    this.#wildcard = request.resourceNamesSubscribe.length === 0;
    for (const [name, version] of Object.entries(request.initialResourceVersions)) this.#held.set(name, version);
  }

  #subscribe(name: string): void {
    if (name === everything) {
      this.#wildcard = true;
      return;
    }
    // Asking again means "send it again", even what does not exist; a reconnect brings the version along instead.
    if (this.#names.has(name) || this.#held.get(name) === '') this.#held.set(name, unsure);
    this.#names.add(name);
  }

  #unsubscribe(name: string): void {
    if (name === everything) {
      this.#wildcard = false;
      for (const held of this.#held.keys()) if (!this.#names.has(held)) this.#dropped(held);
      return;
    }
    const wasNamed = this.#names.delete(name);
    if (!this.#wildcard) this.#dropped(name);
    // It cannot know whether "everything" has the name too, and xDS has the server say so.
    else if (wasNamed) this.#held.set(name, unsure);
  }

  /** The proxy has dropped `name`; but the response under way may bring it again, should it have asked again by then. */
  #dropped(name: string): void {
    if (this.isPending && this.#held.has(name)) this.#held.set(name, unsure);
    else this.#held.delete(name);
  }
}
