// The order in which configuration is sent, and to whom.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Metadata, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { DeltaDiscoveryRequestSchema, type DeltaDiscoveryRequest, type DeltaDiscoveryResponse } from '../messages.js';
import {
  emptyResources,
  findResourceType,
  typeUrlOf,
  type Resources,
  type ResourceSet,
  type ResourceType,
} from '../resources.js';
import { AdsServer, type AdsServerOptions } from './ads-server.js';

/** The server's end of a stream, without a network. */
class FakeCall extends EventEmitter {
  readonly metadata = new Metadata();
  readonly sent: DeltaDiscoveryResponse[] = [];
  ended = false;
  hasRoom = true;

  write(response: DeltaDiscoveryResponse): boolean {
    assert.ok(!this.ended, 'nothing is sent after the end');
    this.sent.push(response);
    return this.hasRoom;
  }

  end(): void {
    this.ended = true;
    this.emit('close');
  }

  request(type: ResourceType, fields: Partial<Omit<DeltaDiscoveryRequest, '$typeName' | '$unknown'>> = {}): void {
    this.emit('data', create(DeltaDiscoveryRequestSchema, { typeUrl: typeUrlOf(type), ...fields }));
  }

  /** What was sent since the last time: `type: names, -removed names`. */
  take(): string[] {
    return this.sent.splice(0).map((response) => {
      const names = response.resources.map(({ name }) => name);
      const removed = response.removedResources.map((name) => `-${name}`);
      return `${findResourceType(response.typeUrl)}: ${[...names, ...removed].join(' ')}`;
    });
  }
}

type AnyCall = Parameters<AdsServer['handle']>[0];

/** A set of resources whose versions say what they refer to. */
function set(type: ResourceType, entries: Readonly<Record<string, string>>): ResourceSet {
  return new Map(
    Object.entries(entries).map(([name, version]) => [
      name,
      { name, version, typeUrl: typeUrlOf(type), bytes: new Uint8Array() },
    ]),
  );
}

function resources(parts: Partial<Record<ResourceType, Readonly<Record<string, string>>>>): Resources {
  return {
    cluster: set('cluster', parts.cluster ?? {}),
    endpoints: set('endpoints', parts.endpoints ?? {}),
    listener: set('listener', parts.listener ?? {}),
    routes: set('routes', parts.routes ?? {}),
  };
}

function serve(first: Resources | undefined, options: Partial<AdsServerOptions> = {}) {
  const state = { wanted: first };
  const server = new AdsServer({ authenticate: () => 'web-0', resourcesOf: () => state.wanted, ...options });
  const call = new FakeCall();
  server.handle(call as unknown as AnyCall);
  return { server, call, state };
}

describe('a configuration stream', () => {
  it('without the token of a workload is refused', () => {
    const server = new AdsServer({ authenticate: () => undefined, resourcesOf: () => emptyResources });
    const call = new FakeCall();
    let refusal: { code?: status } = {};
    call.on('error', (error: { code?: status }) => (refusal = error));
    server.handle(call as unknown as AnyCall);
    assert.equal(refusal.code, status.UNAUTHENTICATED);
    assert.deepEqual(server.states(), []);
  });

  it('beside another of the same workload: both count, and the last one decides', () => {
    const { server, call } = serve(emptyResources);
    const second = new FakeCall();
    server.handle(second as unknown as AnyCall);
    for (const type of ['cluster', 'listener'] as const) call.request(type);
    assert.deepEqual(server.states(), [{ workload: 'web-0', synced: false, errors: [], streams: 2 }]);
    for (const type of ['cluster', 'listener'] as const) second.request(type);
    assert.deepEqual(server.states(), [{ workload: 'web-0', synced: true, errors: [], streams: 2 }]);
    second.emit('close');
    assert.deepEqual(server.states(), [{ workload: 'web-0', synced: true, errors: [], streams: 1 }]);
  });

  it('of two of a workload that refuse the same: it is told once', () => {
    const { server, call } = serve(resources({ cluster: { c: 'bad' } }));
    const second = new FakeCall();
    server.handle(second as unknown as AnyCall);
    for (const each of [call, second]) {
      each.request('cluster');
      each.request('cluster', {
        responseNonce: '1',
        errorDetail: { $typeName: 'google.rpc.Status', code: 3, message: 'c: no', details: [] },
      });
    }
    assert.deepEqual(server.states()[0]?.errors, [{ type: 'cluster', message: 'c: no' }]);
  });

  it('ends when its workload is gone, and is forgotten', () => {
    const { server, call, state } = serve(emptyResources);
    call.request('cluster');
    state.wanted = undefined;
    server.publish();
    assert.equal(call.ended, true);
    assert.deepEqual(server.states(), []);
    server.publish();
  });

  it('gets thousands of clusters in parts, each when it has taken the one before, and then what refers to them', () => {
    const cluster = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`c${i}`, '1']));
    const { call, server, state } = serve(resources({ cluster: { gone: '1' }, listener: { l: '1' } }));
    call.request('cluster');
    call.request('listener');
    call.request('cluster', { responseNonce: '1' });
    call.request('listener', { responseNonce: '2' });
    call.take();
    state.wanted = resources({ cluster, listener: { l: '2' } });
    server.publish();
    const error = { $typeName: 'google.rpc.Status' as const, code: 3, message: 'c0: no', details: [] };
    call.request('cluster', { responseNonce: '3', errorDetail: error });
    call.request('cluster', { responseNonce: '4' });
    assert.deepEqual(
      call.sent.map(({ resources: parts }) => parts.length),
      [250, 250, 100],
    );
    assert.equal(new Set(call.sent.flatMap(({ resources: parts }) => parts.map(({ name }) => name))).size, 600);
    call.take();
    call.request('cluster', { responseNonce: '5' });
    assert.deepEqual(call.take(), ['listener: l']);
    assert.deepEqual(server.states()[0]?.errors, [{ type: 'cluster', message: 'c0: no' }], 'of any part');
    assert.equal(server.states()[0]?.synced, false, 'the old cluster goes when the listener is taken');
  });

  it('gets clusters, then endpoints, and only then what refers to them', () => {
    const { call } = serve(
      resources({ cluster: { c: '1' }, endpoints: { e: '1' }, listener: { l: '1' }, routes: { r: '1' } }),
    );
    call.request('listener');
    call.request('routes', { resourceNamesSubscribe: ['r'] });
    assert.deepEqual(call.take(), ['listener: l']);
    call.request('cluster');
    call.request('endpoints', { resourceNamesSubscribe: ['e'] });
    assert.deepEqual(call.take(), ['cluster: c', 'endpoints: e']);
    call.request('cluster', { responseNonce: '2' });
    call.request('listener', { responseNonce: '1' });
    assert.deepEqual(call.take(), [], 'routes wait for the endpoints');
    call.request('endpoints', { responseNonce: '3' });
    assert.deepEqual(call.take(), ['routes: r']);
  });

  it('loses a cluster only after the routes that named it were replaced', () => {
    const { server, call, state } = serve(resources({ cluster: { old: '1' }, routes: { r: 'old' } }));
    call.request('cluster');
    call.request('cluster', { responseNonce: '1' });
    call.request('routes', { resourceNamesSubscribe: ['r'] });
    call.request('routes', { responseNonce: '2' });
    call.take();
    state.wanted = resources({ cluster: { new: '1' }, routes: { r: 'new' } });
    server.publish();
    assert.deepEqual(call.take(), ['cluster: new']);
    call.request('cluster', { responseNonce: '3' });
    assert.deepEqual(call.take(), ['routes: r']);
    call.request('routes', { responseNonce: '4' });
    assert.deepEqual(call.take(), ['cluster: -old']);
  });

  it('keeps a cluster while its proxy refuses the routes that no longer name it', () => {
    const { server, call, state } = serve(resources({ cluster: { old: '1' }, routes: { r: 'old' } }));
    call.request('cluster');
    call.request('cluster', { responseNonce: '1' });
    call.request('routes', { resourceNamesSubscribe: ['r'] });
    call.request('routes', { responseNonce: '2' });
    call.take();
    state.wanted = resources({ routes: { r: 'bad' } });
    server.publish();
    assert.deepEqual(call.take(), ['routes: r']);
    call.request('routes', {
      responseNonce: '3',
      errorDetail: { $typeName: 'google.rpc.Status', code: 3, message: 'r: no', details: [] },
    });
    assert.deepEqual(call.take(), [], 'the old routes are still in force there');
    assert.deepEqual(server.states(), [
      { workload: 'web-0', synced: false, errors: [{ type: 'routes', message: 'r: no' }], streams: 1 },
    ]);
    state.wanted = resources({ routes: { r: 'good' } });
    server.publish();
    assert.deepEqual(call.take(), ['routes: r']);
    call.request('routes', { responseNonce: '4' });
    assert.deepEqual(call.take(), ['cluster: -old']);
  });

  it('is told nothing of a type that does not exist here', () => {
    const { call } = serve(emptyResources);
    call.emit('data', create(DeltaDiscoveryRequestSchema, { typeUrl: 'type.googleapis.com/other' }));
    assert.deepEqual(call.take(), []);
  });

  it('that takes nothing more gets the newest state once it does', () => {
    const { server, call, state } = serve(resources({ cluster: { c: '1' } }));
    call.hasRoom = false;
    call.request('cluster');
    call.request('listener');
    assert.deepEqual(call.take(), ['cluster: c']);
    for (const version of ['1', '2', '3']) {
      state.wanted = resources({ cluster: { c: version }, listener: { l: version } });
      server.publish();
    }
    call.request('cluster', { responseNonce: '1' });
    assert.deepEqual(call.take(), []);
    call.hasRoom = true;
    call.emit('drain');
    assert.deepEqual(
      call.sent.map((response) => response.resources.map(({ name, version }) => `${name}@${version}`)),
      [['c@3']],
    );
  });

  it('is synced when it has acknowledged everything that it asked for, and names what it refused', () => {
    const changes: boolean[] = [];
    const { server, call, state } = serve(resources({ cluster: { c: '1' }, listener: { l: '1' } }), {
      onStateChange: ({ synced }) => changes.push(synced),
    });
    assert.equal(server.states()[0]!.synced, false, 'nothing was asked for yet');
    call.request('cluster');
    call.request('cluster', { responseNonce: '1' });
    call.request('listener');
    assert.equal(server.states()[0]!.synced, false);
    call.request('listener', { responseNonce: '2' });
    assert.equal(server.states()[0]!.synced, true);
    assert.deepEqual(changes, [false, true]);
    state.wanted = resources({ cluster: { c: '2' }, listener: { l: '1' } });
    assert.equal(server.states()[0]!.synced, false, 'something is to be sent');
  });

  it('ends with its server', () => {
    const { server, call } = serve(emptyResources);
    server.close();
    assert.equal(call.ended, true);
  });
});

// ---- a proxy that applies what arrives at once, and answers late

class Proxy {
  readonly have: Record<ResourceType, Map<string, string>> = {
    cluster: new Map(),
    endpoints: new Map(),
    listener: new Map(),
    routes: new Map(),
  };
  readonly #names: Record<'endpoints' | 'routes', Set<string>> = { endpoints: new Set(), routes: new Set() };
  readonly #call: FakeCall;
  readonly #answers: (() => void)[] = [];

  constructor(call: FakeCall) {
    this.#call = call;
    call.request('cluster');
    call.request('listener');
  }

  get isBusy(): boolean {
    return this.#answers.length > 0 || this.#call.sent.length > 0;
  }

  receive(): void {
    const response = this.#call.sent.shift();
    if (response === undefined) return;
    const type = findResourceType(response.typeUrl)!;
    for (const { name, version } of response.resources) this.have[type].set(name, version);
    for (const name of response.removedResources) this.have[type].delete(name);
    this.#check();
    this.#answers.push(() => {
      if (type === 'cluster') this.#want('endpoints', [...this.have.cluster.keys()]);
      if (type === 'listener') this.#want('routes', [...this.have.listener.values()]);
      this.#call.request(type, { responseNonce: response.nonce });
    });
  }

  answer(): void {
    this.#answers.shift()?.();
  }

  #want(type: 'endpoints' | 'routes', names: readonly string[]): void {
    const before = this.#names[type];
    const after = new Set(names);
    this.#names[type] = after;
    const added = [...after].filter((name) => !before.has(name));
    const dropped = [...before].filter((name) => !after.has(name));
    for (const name of dropped) this.have[type].delete(name);
    if (added.length + dropped.length > 0)
      this.#call.request(type, { resourceNamesSubscribe: added, resourceNamesUnsubscribe: dropped });
  }

  /** Routes name their clusters in their version. */
  #check(): void {
    for (const [name, clusters] of this.have.routes)
      for (const cluster of clusters.split(',').filter(Boolean))
        assert.ok(this.have.cluster.has(cluster), `routes ${name} name cluster ${cluster}, which is not there`);
  }
}

it('whatever changes and however late the answers, no route is in force that names a missing cluster', () => {
  const clusters = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 });
  const state = fc.array(clusters, { maxLength: 2 }).map((routes) =>
    resources({
      cluster: Object.fromEntries(routes.flat().map((name) => [name, '1'])),
      endpoints: Object.fromEntries(routes.flat().map((name) => [name, '1'])),
      listener: Object.fromEntries(routes.map((_, i) => [`l${i}`, `r${i}`])),
      routes: Object.fromEntries(routes.map((names, i) => [`r${i}`, names.sort().join(',')])),
    }),
  );
  const step = fc.oneof(
    state,
    fc.constantFrom('receive' as const, 'receive' as const, 'answer' as const, 'answer' as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const { server, call, state: served } = serve(emptyResources);
      const proxy = new Proxy(call);
      for (const action of steps) {
        if (action === 'receive') proxy.receive();
        else if (action === 'answer') proxy.answer();
        else {
          served.wanted = action;
          server.publish();
        }
      }
      for (let i = 0; proxy.isBusy; i++) {
        proxy.receive();
        proxy.answer();
        assert.ok(i < 500, 'it comes to an end');
      }
      for (const type of ['cluster', 'listener', 'routes', 'endpoints'] as const)
        assert.deepEqual(
          [...proxy.have[type]].sort(),
          [...served.wanted![type].values()].map(({ name, version }) => [name, version]).sort(),
          type,
        );
    }),
    { numRuns: 1000 },
  );
});
