// A subscription against a model of a proxy: messages are under way for a while, in both directions, and cross.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ResourceSet, VersionedResource } from '../resources.js';
import { Subscription, type Delta, type SubscriptionRequest } from './subscription.js';

const resource = (name: string, version: string): VersionedResource => ({
  name,
  version,
  typeUrl: 'type',
  bytes: new Uint8Array(),
});
const set = (...entries: readonly (readonly [string, string])[]): ResourceSet =>
  new Map(entries.map(([name, version]) => [name, resource(name, version)]));
const request = (fields: Partial<SubscriptionRequest> = {}): SubscriptionRequest => ({
  resourceNamesSubscribe: [],
  resourceNamesUnsubscribe: [],
  initialResourceVersions: {},
  responseNonce: '',
  errorMessage: undefined,
  ...fields,
});
const summary = (delta: Delta | undefined) =>
  delta && { changed: delta.changed.map(({ name, version }) => `${name}@${version}`), removed: [...delta.removed] };

/** Sends what is to be sent and has it acknowledged. */
function exchange(subscription: Subscription, wanted: ResourceSet, nonce: string, errorMessage?: string) {
  const delta = subscription.diff(wanted);
  if (delta !== undefined) {
    subscription.sent(delta, nonce);
    subscription.receive(request({ responseNonce: nonce, errorMessage }));
  }
  return summary(delta);
}

describe('a subscription', () => {
  it('that begins without names is one to everything', () => {
    const subscription = new Subscription();
    subscription.receive(request());
    assert.deepEqual(exchange(subscription, set(['a', '1'], ['b', '1']), 'n1'), {
      changed: ['a@1', 'b@1'],
      removed: [],
    });
    assert.deepEqual(exchange(subscription, set(['a', '1'], ['c', '1']), 'n2'), { changed: ['c@1'], removed: ['b'] });
    assert.equal(exchange(subscription, set(['a', '1'], ['c', '1']), 'n3'), undefined);
  });

  it('to names gives them alone, and tells once which do not exist', () => {
    const subscription = new Subscription();
    subscription.receive(request({ resourceNamesSubscribe: ['a', 'ghost'] }));
    const wanted = set(['a', '1'], ['b', '1']);
    assert.deepEqual(exchange(subscription, wanted, 'n1'), { changed: ['a@1'], removed: ['ghost'] });
    assert.equal(exchange(subscription, wanted, 'n2'), undefined);
    assert.deepEqual(exchange(subscription, set(['a', '1'], ['ghost', '1']), 'n3'), {
      changed: ['ghost@1'],
      removed: [],
    });
  });

  it('has one response under way, and the next carries the newest state', () => {
    const subscription = new Subscription();
    subscription.receive(request());
    subscription.sent(subscription.diff(set(['a', '1']))!, 'n1');
    assert.equal(subscription.isPending, true);
    assert.equal(subscription.diff(set(['a', '2'])), undefined);
    subscription.receive(request({ responseNonce: 'n1' }));
    assert.deepEqual(summary(subscription.diff(set(['a', '3']))), { changed: ['a@3'], removed: [] });
  });

  it('takes no answer to anything but the response under way', () => {
    const subscription = new Subscription();
    subscription.receive(request());
    subscription.sent(subscription.diff(set(['a', '1']))!, 'n2');
    subscription.receive(request({ responseNonce: 'n1', errorMessage: 'late' }));
    assert.equal(subscription.isPending, true);
    assert.equal(subscription.lastError, undefined);
  });

  it('does not send again what was refused, until it changes', () => {
    const subscription = new Subscription();
    subscription.receive(request());
    exchange(subscription, set(['a', '1']), 'n1');
    exchange(subscription, set(['a', 'bad']), 'n2', 'a: no');
    assert.equal(subscription.lastError, 'a: no');
    assert.equal(subscription.diff(set(['a', 'bad'])), undefined);
    assert.deepEqual(exchange(subscription, set(['a', '1']), 'n3'), { changed: ['a@1'], removed: [] });
    assert.equal(subscription.lastError, undefined);
  });

  it('that begins with versions gets what differs', () => {
    const subscription = new Subscription();
    subscription.receive(request({ initialResourceVersions: { same: '1', old: '1', gone: '1' } }));
    assert.deepEqual(exchange(subscription, set(['same', '1'], ['old', '2'], ['new', '1']), 'n1'), {
      changed: ['old@2', 'new@1'],
      removed: ['gone'],
    });
  });

  it('to a name that is asked for again gets it again', () => {
    const subscription = new Subscription();
    subscription.receive(request({ resourceNamesSubscribe: ['a', 'ghost'] }));
    exchange(subscription, set(['a', '1']), 'n1');
    subscription.receive(request({ resourceNamesSubscribe: ['a', 'ghost'] }));
    assert.deepEqual(exchange(subscription, set(['a', '1']), 'n2'), { changed: ['a@1'], removed: ['ghost'] });
  });

  it('to everything that was given up and taken up again gets everything again', () => {
    const subscription = new Subscription();
    const wanted = set(['a', '1'], ['b', '1']);
    subscription.receive(request({ resourceNamesSubscribe: ['*', 'a'] }));
    exchange(subscription, wanted, 'n1');
    subscription.receive(request({ resourceNamesUnsubscribe: ['*'] }));
    assert.equal(exchange(subscription, wanted, 'n2'), undefined);
    subscription.receive(request({ resourceNamesSubscribe: ['*'] }));
    assert.deepEqual(exchange(subscription, wanted, 'n3'), { changed: ['b@1'], removed: [] });
  });

  it('to a name that is given up while everything is subscribed gets it, or that it is gone, once more', () => {
    const subscription = new Subscription();
    subscription.receive(request({ resourceNamesSubscribe: ['*', 'a', 'ghost'] }));
    exchange(subscription, set(['a', '1']), 'n1');
    subscription.receive(request({ resourceNamesUnsubscribe: ['a', 'ghost'] }));
    assert.deepEqual(exchange(subscription, set(['a', '1']), 'n2'), { changed: ['a@1'], removed: ['ghost'] });
    assert.equal(exchange(subscription, set(['a', '1']), 'n3'), undefined);
  });
});

// ---- the model

const names = ['a', 'b', 'c'] as const;
/** A version that proxies refuse. */
const bad = 'bad';
const everything = '*';

type Step =
  | { readonly kind: 'subscribe' | 'unsubscribe'; readonly names: readonly string[] }
  | { readonly kind: 'set'; readonly name: string; readonly version: string }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'arrive at server' | 'arrive at proxy' | 'reconnect' };

interface Response {
  readonly nonce: string;
  readonly delta: Delta;
}

class World {
  readonly wanted = new Map<string, VersionedResource>();
  server = new Subscription();
  #nonce = 0;
  #responses = 0;
  #toServer: SubscriptionRequest[] = [];
  #toProxy: Response[] = [];
  #begun = false;

  // the proxy
  wildcard: boolean;
  readonly names = new Set<string>();
  /** What it has in force. */
  readonly have = new Map<string, string>();
  /** Names for which it awaits an answer, be it that there is no such thing. */
  readonly awaited = new Set<string>();

  constructor(wildcard: boolean) {
    this.wildcard = wildcard;
    this.#begin();
  }

  step(step: Step): void {
    switch (step.kind) {
      case 'subscribe':
        this.#subscribe(step.names);
        break;
      case 'unsubscribe':
        this.#unsubscribe(step.names);
        break;
      case 'set':
        this.wanted.set(step.name, resource(step.name, step.version));
        break;
      case 'remove':
        this.wanted.delete(step.name);
        break;
      case 'arrive at server':
        this.#arriveAtServer();
        break;
      case 'arrive at proxy':
        this.#arriveAtProxy();
        break;
      case 'reconnect':
        this.server = new Subscription();
        this.#toServer = [];
        this.#toProxy = [];
        this.#begun = false;
        this.#begin();
        break;
    }
    this.#push();
  }

  /** Lets everything arrive. */
  settle(): void {
    while (this.#toServer.length > 0 || this.#toProxy.length > 0) {
      this.#arriveAtServer();
      this.#arriveAtProxy();
      this.#push();
      assert.ok(this.#responses < 500, 'it comes to an end');
    }
  }

  isInterested(name: string): boolean {
    return this.wildcard || this.names.has(name);
  }

  #begin(): void {
    if (!this.wildcard && this.names.size === 0) return;
    this.#begun = true;
    const subscribe = this.wildcard && this.names.size > 0 ? [everything, ...this.names] : [...this.names];
    this.awaited.clear(); // a first request tells versions, so that what is the same needs no answer
    for (const name of this.names) if (!this.have.has(name)) this.awaited.add(name);
    this.#toServer.push(
      request({ resourceNamesSubscribe: subscribe, initialResourceVersions: Object.fromEntries(this.have) }),
    );
  }

  #subscribe(added: readonly string[]): void {
    for (const name of added) {
      if (name === everything) this.wildcard = true;
      else {
        if (this.names.has(name) || !this.wildcard) this.awaited.add(name);
        this.names.add(name);
      }
    }
    if (this.#begun) this.#toServer.push(request({ resourceNamesSubscribe: added }));
    else this.#begin();
  }

  #unsubscribe(dropped: readonly string[]): void {
    if (!this.#begun) return;
    for (const name of dropped) {
      if (name === everything) this.wildcard = false;
      else if (this.names.delete(name)) this.awaited.add(name);
    }
    for (const name of names)
      if (!this.isInterested(name)) {
        this.have.delete(name);
        this.awaited.delete(name);
      }
    this.#toServer.push(request({ resourceNamesUnsubscribe: dropped }));
  }

  #push(): void {
    const delta = this.server.diff(this.wanted);
    if (delta === undefined) return;
    assert.ok(delta.changed.length > 0 || delta.removed.length > 0, 'nothing empty is sent');
    const sent = [...delta.changed.map(({ name }) => name), ...delta.removed];
    assert.equal(new Set(sent).size, sent.length, 'nothing is sent twice in a response');
    const nonce = String(++this.#nonce);
    this.server.sent(delta, nonce);
    this.#toProxy.push({ nonce, delta });
    this.#responses++;
  }

  #arriveAtServer(): void {
    const first = this.#toServer.shift();
    if (first !== undefined) this.server.receive(first);
  }

  #arriveAtProxy(): void {
    const response = this.#toProxy.shift();
    if (response === undefined) return;
    let errorMessage: string | undefined;
    for (const { name, version } of response.delta.changed) {
      this.awaited.delete(name);
      if (version === bad) errorMessage = `${name} is bad`;
      else if (this.isInterested(name)) this.have.set(name, version);
    }
    for (const name of response.delta.removed) {
      this.awaited.delete(name);
      this.have.delete(name);
    }
    this.#toServer.push(request({ responseNonce: response.nonce, errorMessage }));
  }
}

const someNames = fc.uniqueArray(fc.constantFrom(...names, everything), { minLength: 1, maxLength: 3 });
const aName = fc.constantFrom(...names);
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('subscribe' as const, 'unsubscribe' as const), names: someNames }),
    fc.record({ kind: fc.constant('set' as const), name: aName, version: fc.constantFrom('1', '2', bad) }),
    fc.record({ kind: fc.constant('remove' as const), name: aName }),
    fc.record({
      kind: fc.constantFrom('arrive at server' as const, 'arrive at proxy' as const, 'reconnect' as const),
    }),
    fc.record({ kind: fc.constantFrom('arrive at server' as const, 'arrive at proxy' as const) }),
  ),
  { maxLength: 40, size: 'max' },
);

it('whatever the order of requests, answers and changes, a proxy ends with exactly what it wants', () => {
  fc.assert(
    fc.property(fc.boolean(), steps, (wildcard, all) => {
      const world = new World(wildcard);
      for (const step of all) world.step(step);
      world.settle();
      for (const name of names) {
        const wanted = world.isInterested(name) ? world.wanted.get(name)?.version : undefined;
        const have = world.have.get(name);
        if (wanted === bad) assert.notEqual(have, bad);
        else assert.equal(have, wanted, `${name} in force`);
        assert.ok(!world.awaited.has(name), `${name} was answered`);
      }
      assert.equal(world.server.isPending, false);
    }),
    { numRuns: 4000 },
  );
});
