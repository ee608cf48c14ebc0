// A proxy's end of the configuration stream, against a server that says what it likes.
import assert from 'node:assert/strict';
import { EventEmitter, on } from 'node:events';
import { after, afterEach, before, describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import { Http2Channel } from '../../proxy/grpc/channel.js';
import { grpcService } from '../../util/grpc.js';
import {
  AggregatedDiscoveryService,
  ClusterSchema,
  DeltaDiscoveryResponseSchema,
  RouteConfigurationSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../messages.js';
import { findResourceType, typeUrlOf, type ResourceType } from '../resources.js';
import { AdsClient, type RejectedResource, type ResourceHandler } from './ads-client.js';

type Call = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

/** One stream as the server sees it. */
class Stream {
  readonly #call: Call;
  readonly #requests: AsyncIterator<[DeltaDiscoveryRequest]>;

  constructor(call: Call) {
    this.#call = call;
    this.#requests = on(call, 'data')[Symbol.asyncIterator]() as AsyncIterator<[DeltaDiscoveryRequest]>;
    call.on('error', () => undefined);
  }

  get token(): string {
    return String(this.#call.metadata.get('authorization')[0]);
  }

  async next(): Promise<DeltaDiscoveryRequest & { readonly type: ResourceType | undefined }> {
    const { value } = (await this.#requests.next()) as { value: [DeltaDiscoveryRequest] };
    return { ...value[0], type: findResourceType(value[0].typeUrl) };
  }

  send(
    type: ResourceType,
    nonce: string,
    resources: readonly { name: string; version: string; bytes?: Uint8Array; typeUrl?: string }[],
    removedResources: string[] = [],
  ): void {
    this.#call.write(
      create(DeltaDiscoveryResponseSchema, {
        typeUrl: typeUrlOf(type),
        nonce,
        resources: resources.map(({ name, version, bytes, typeUrl }) => ({
          name,
          version,
          resource: { typeUrl: typeUrl ?? typeUrlOf(type), value: bytes ?? encode(type, name) },
        })),
        removedResources,
      }),
    );
  }

  end(): void {
    this.#call.end();
  }

  fail(): void {
    this.#call.emit('error', { code: status.UNAVAILABLE, details: 'going away' });
  }
}

function encode(type: ResourceType, name: string): Uint8Array {
  return type === 'routes'
    ? toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { name }))
    : toBinary(ClusterSchema, create(ClusterSchema, { name }));
}

/** Takes everything but what it is told to refuse. */
class Handler implements ResourceHandler {
  readonly applied: string[] = [];
  readonly refused = new Set<string>();

  apply: ResourceHandler['apply'] = (type, changed, removed) => {
    this.applied.push(
      `${type}: ${[...changed.map(({ name, version }) => `${name}@${version}`), ...removed.map((name) => `-${name}`)].join(' ')}`,
    );
    return changed.flatMap(({ name, version }): RejectedResource[] =>
      this.refused.has(`${name}@${version}`) ? [{ name, reason: 'not supported' }] : [],
    );
  };
}

describe('a configuration client', () => {
  let server: Server;
  let channel: Http2Channel;
  let tokens = 0;
  const streams = new EventEmitter();
  const arriving = on(streams, 'stream')[Symbol.asyncIterator]() as AsyncIterator<[Stream]>;
  const clients: AdsClient[] = [];

  before(async () => {
    server = new Server();
    server.addService(grpcService(AggregatedDiscoveryService), {
      deltaAggregatedResources: (call: Call) => streams.emit('stream', new Stream(call)),
    });
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    channel = new Http2Channel(`127.0.0.1:${port}`);
  });
  afterEach(() => clients.splice(0).forEach((client) => client.close()));
  after(() => {
    channel.close();
    server.forceShutdown();
  });

  const nextStream = async () => ((await arriving.next()) as { value: [Stream] }).value[0];

  async function start(): Promise<{ client: AdsClient; handler: Handler; stream: Stream; lost: string[] }> {
    const handler = new Handler();
    const lost: string[] = [];
    const client = new AdsClient({
      channel,
      headers: () => ['authorization', `token ${++tokens}`],
      node: () => ({ id: 'sidecar~1', cluster: 'web.shop', metadata: { NAME: 'web-0' } }),
      handler,
      onDisconnect: (reason) => lost.push(reason),
    });
    clients.push(client);
    client.start();
    return { client, handler, stream: await nextStream(), lost };
  }

  /** The two first requests of a stream, which are always there. */
  async function skipFirst(stream: Stream): Promise<void> {
    await stream.next();
    await stream.next();
  }

  it('begins with wildcards for clusters and listeners, and says who it is', async () => {
    const { stream } = await start();
    for (const type of ['cluster', 'listener']) {
      const request = await stream.next();
      assert.equal(request.type, type);
      assert.deepEqual(request.resourceNamesSubscribe, []);
      assert.deepEqual(request.initialResourceVersions, {});
      assert.equal(request.node?.id, 'sidecar~1');
      assert.deepEqual(request.node?.metadata, { NAME: 'web-0' });
    }
  });

  it('applies a response and acknowledges it', async () => {
    const { stream, handler } = await start();
    await skipFirst(stream);
    stream.send('cluster', 'n1', [{ name: 'a', version: '1' }], ['b']);
    const answer = await stream.next();
    assert.equal(answer.type, 'cluster');
    assert.equal(answer.responseNonce, 'n1');
    assert.equal(answer.errorDetail, undefined);
    assert.deepEqual(handler.applied, ['cluster: a@1 -b']);
  });

  it('names what it refuses and why, and takes the rest', async () => {
    const { stream, handler } = await start();
    await skipFirst(stream);
    handler.refused.add('b@1');
    stream.send('cluster', 'n1', [
      { name: 'a', version: '1' },
      { name: 'b', version: '1' },
      { name: 'c', version: '1', bytes: Uint8Array.of(0xff) },
      { name: 'd', version: '1', typeUrl: 'type.googleapis.com/other' },
    ]);
    const { errorDetail, responseNonce } = await stream.next();
    assert.equal(responseNonce, 'n1');
    assert.equal(errorDetail?.code, 3);
    assert.match(
      errorDetail!.message,
      /c: cannot be decoded: .*; d: cannot be decoded: is of type .*other; b: not supported/,
    );
    assert.deepEqual(handler.applied, ['cluster: a@1 b@1']);
  });

  it('tells the next stream which versions it took, and nothing that it refused or lost', async () => {
    const { stream, handler, lost } = await start();
    await skipFirst(stream);
    handler.refused.add('refused@2').add('new@1');
    stream.send('cluster', 'n1', [
      { name: 'kept', version: '1' },
      { name: 'refused', version: '1' },
      { name: 'gone', version: '1' },
    ]);
    stream.send(
      'cluster',
      'n2',
      [
        { name: 'refused', version: '2' },
        { name: 'new', version: '1' },
      ],
      ['gone'],
    );
    await stream.next();
    await stream.next();
    const before = tokens;
    stream.end();
    const again = await nextStream();
    assert.equal(again.token, `token ${before + 1}`, 'with credentials anew');
    assert.deepEqual((await again.next()).initialResourceVersions, { kept: '1', refused: '1' });
    assert.equal(lost.length, 1);
  });

  it('comes back after a failure too, telling its reason once', async () => {
    const { stream, lost } = await start();
    await skipFirst(stream);
    stream.fail();
    await skipFirst(await nextStream());
    assert.equal(lost.length, 1);
    assert.match(lost[0]!, /going away/);
  });

  it('asks for names as they come and go, and for all of them on the next stream', async () => {
    const { client, stream } = await start();
    await skipFirst(stream);
    client.setNames('routes', new Set(['a', 'b']));
    assert.deepEqual((await stream.next()).resourceNamesSubscribe, ['a', 'b']);
    client.setNames('routes', new Set(['a', 'b']));
    client.setNames('routes', new Set(['b', 'c']));
    const change = await stream.next();
    assert.deepEqual([change.resourceNamesSubscribe, change.resourceNamesUnsubscribe], [['c'], ['a']]);
    stream.send('routes', 'n1', [{ name: 'b', version: '7' }]);
    await stream.next();
    stream.end();
    const again = await nextStream();
    await skipFirst(again);
    const first = await again.next();
    assert.equal(first.type, 'routes');
    assert.deepEqual(first.resourceNamesSubscribe, ['b', 'c']);
    assert.deepEqual(first.initialResourceVersions, { b: '7' });
  });

  it('takes nothing that it no longer asks for, and forgets it', async () => {
    const { client, stream, handler } = await start();
    await skipFirst(stream);
    client.setNames('routes', new Set(['a', 'b']));
    await stream.next();
    client.setNames('routes', new Set(['b']));
    await stream.next();
    stream.send('routes', 'n1', [
      { name: 'a', version: '1' },
      { name: 'b', version: '1' },
    ]);
    assert.equal((await stream.next()).errorDetail, undefined);
    assert.deepEqual(handler.applied, ['routes: b@1']);
    stream.end();
    const again = await nextStream();
    await skipFirst(again);
    assert.deepEqual((await again.next()).initialResourceVersions, { b: '1' });
  });

  it('takes no notice of types that it did not ask for', async () => {
    const { stream, handler } = await start();
    await skipFirst(stream);
    stream.send('cluster', 'n1', []);
    await stream.next();
    assert.deepEqual(handler.applied, ['cluster: ']);
  });

  it('stays away once it is closed', async () => {
    const { client, stream, lost } = await start();
    await skipFirst(stream);
    client.close();
    const { stream: other } = await start();
    await skipFirst(other);
    assert.deepEqual(lost, []);
  });
});
