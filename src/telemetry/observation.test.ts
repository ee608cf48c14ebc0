// Both ends of the observation stream over real gRPC.
import assert from 'node:assert/strict';
import { EventEmitter, on, once } from 'node:events';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import { Http2Channel } from '../proxy/grpc/channel.js';
import { grpcMethod } from '../util/grpc-method.js';
import { grpcService } from '../util/grpc.js';
import { Collector } from './collector.js';
import {
  DirectiveSchema,
  ObservationService,
  ReportSchema,
  type Directive,
  type Report,
} from './gen/observation_pb.js';
import { unknownParty, type Call } from './istio-labels.js';
import { ObservationClient, type AppliedResources } from './observation-client.js';
import { ObservationServer } from './observation-service.js';
import type { LearnedPort } from './learned-ports.js';
import { SeriesRegistry } from './series.js';

const method = grpcMethod(ObservationService.method.observe);
const longWait = 60_000;
const call: Call = {
  reporter: 'source',
  source: unknownParty,
  destination: unknownParty,
  service: { host: 'b', name: 'b', namespace: 'shop' },
  security: 'unknown',
};

async function listen(
  observe: (stream: ServerDuplexStream<Report, Directive>) => void,
): Promise<[Server, Client, Http2Channel]> {
  const server = new Server({ 'grpc.max_receive_message_length': 4 * 1024 * 1024 });
  server.addService(grpcService(ObservationService), { observe });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const address = `127.0.0.1:${port}`;
  return [server, new Client(address, credentials.createInsecure()), new Http2Channel(address)];
}

function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', token);
  return metadata;
}

const totalOf = (collector: Collector, wanted: string) =>
  [...collector.totals].find(({ name }) => name === wanted)?.values[0];

describe('the observation stream', () => {
  let server: Server;
  let channel: Client;
  let proxyChannel: Http2Channel;
  let collector: Collector;
  let observation: ObservationServer;
  const calls = new EventEmitter();
  const clients: ObservationClient[] = [];

  before(async () => {
    [server, channel, proxyChannel] = await listen((stream) => {
      observation.handle(stream);
      // Whoever asked for a stream is told once its first report has arrived.
      stream.once('data', () => calls.emit('opened', stream));
    });
  });
  beforeEach(() => {
    collector = new Collector(() => 0);
    observation = new ObservationServer({
      collector,
      authenticate: (metadata) => {
        const [token] = metadata.get('authorization');
        return token === 'bad' ? undefined : String(token);
      },
    });
  });
  afterEach(() => {
    clients.splice(0).forEach((client) => client.close());
    observation.close();
  });
  after(() => {
    channel.close();
    proxyChannel.close();
    server.forceShutdown();
  });

  let applied: readonly AppliedResources[] = [];
  let learned: readonly LearnedPort[] = [];

  async function open(registry: SeriesRegistry, notAfterMs = 5): Promise<ServerDuplexStream<Report, Directive>> {
    const opened = once(calls, 'opened') as Promise<[ServerDuplexStream<Report, Directive>]>;
    const client = new ObservationClient({
      channel: proxyChannel,
      headers: () => ['authorization', 'web-0'],
      registry,
      certificate: () => ({ spiffeId: 'spiffe://td/ns/shop/sa/web', notAfterMs }),
      applied: () => applied,
      learned: () => learned,
    });
    clients.push(client);
    client.start();
    return (await opened)[0];
  }

  it('carries numbers and certificate at once, and later ones when asked', async () => {
    const registry = new SeriesRegistry();
    registry.counter('c_total').add(0, 3);
    await open(registry);
    assert.equal(totalOf(collector, 'c_total'), 3);
    assert.equal(collector.certificates.get('web-0')?.notAfterMs, 5n);
    registry.counter('c_total').add(0, 4);
    registry.counter('d_total').add(0, 1);
    await observation.refresh(longWait);
    assert.equal(totalOf(collector, 'c_total'), 7);
    assert.equal(totalOf(collector, 'd_total'), 1);
  });

  it('carries what is in force, all of it when one type changed', async () => {
    const typeNamed = (typeUrl: string, version: string) => ({ typeUrl, version, resources: 1, waiting: 0 });
    const toldBy = () => collector.appliedBy('web-0')[0]?.map(({ typeUrl, version }) => `${typeUrl} ${version}`);
    applied = [typeNamed('a', '1'), typeNamed('b', '1')];
    await open(new SeriesRegistry());
    assert.deepEqual(toldBy(), ['a 1', 'b 1']);
    applied = [typeNamed('a', '1'), typeNamed('b', '2')];
    await observation.refresh(longWait);
    assert.deepEqual(toldBy(), ['a 1', 'b 2']);
    applied = [];
  });

  it('carries what was learned of ports, all of it when one changed', async () => {
    const port = (listener: string, protocol: LearnedPort['protocol']) => ({ listener, protocol, sinceMs: 7 });
    learned = [port('a', 'http')];
    await open(new SeriesRegistry());
    assert.deepEqual(collector.learnedBy('web-0'), learned);
    learned = [port('a', 'http2'), port('b', 'server-first'), port('c', 'client-first')];
    await observation.refresh(longWait);
    assert.deepEqual(collector.learnedBy('web-0'), learned);
    learned = [];
  });

  it('loses and doubles nothing when it breaks', async () => {
    const registry = new SeriesRegistry();
    registry.counter('c_total').add(0, 3);
    const stream = await open(registry);
    const again = once(calls, 'opened');
    stream.end();
    registry.counter('c_total').add(0, 4);
    await again;
    await observation.refresh(longWait);
    assert.equal(totalOf(collector, 'c_total'), 7);
  });

  it('carries the last numbers of a proxy that is closed', async () => {
    const registry = new SeriesRegistry();
    const stream = await open(registry);
    registry.counter('c_total').add(0, 9);
    const ended = once(stream, 'end');
    clients.splice(0).forEach((client) => client.close());
    await ended;
    assert.equal(totalOf(collector, 'c_total'), 9);
  });

  it('carries thousands of series in messages of bounded size', async () => {
    const registry = new SeriesRegistry();
    for (let i = 0; registry.all.length < 4000; i++)
      registry
        .call({
          ...call,
          service: { ...call.service, name: `service-${i}`, host: `service-${i}.shop.svc.cluster.local` },
        })
        .requests(200, '-')
        .record(1, 1, 1);
    const stream = await open(registry);
    await observation.refresh(longWait);
    assert.equal([...collector.totals].length, 4000);
    assert.equal(stream.cancelled, false);
  });

  it('is refused to whom the token does not prove', async () => {
    const stream = channel.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      bearer('bad'),
    );
    const [error] = (await once(stream, 'error')) as [{ code: status }];
    assert.equal(error.code, status.UNAUTHENTICATED);
  });

  it('that answers more than was asked holds nobody up', async () => {
    const stream = channel.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      bearer('odd'),
    );
    const opened = once(calls, 'opened');
    stream.write(create(ReportSchema, { epoch: 'e' }));
    await opened;
    stream.on('data', () => stream.write(create(ReportSchema, { epoch: 'e', answers: 2n ** 64n - 1n })));
    await observation.refresh(longWait);
    await observation.refresh(longWait);
    stream.end();
  });

  it('that ends without an answer holds nobody up', async () => {
    const stream = channel.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      bearer('mute'),
    );
    const opened = once(calls, 'opened');
    stream.write(create(ReportSchema, { epoch: 'e' }));
    await opened;
    stream.on('error', () => undefined);
    stream.on('data', () => stream.cancel());
    await observation.refresh(longWait);
  });

  it('without an answer is not waited for longer than allowed', async () => {
    const stream = channel.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      bearer('mute'),
    );
    const opened = once(calls, 'opened');
    stream.write(create(ReportSchema, { epoch: 'e' }));
    await opened;
    await observation.refresh(1);
    stream.on('error', () => undefined);
    stream.cancel();
  });
});

describe('a proxy', () => {
  it('names every series once a stream, and tells only what changed', async () => {
    const reports: Report[] = [];
    const streams = new EventEmitter();
    const [server, , channel] = await listen((stream) => {
      stream.on('error', () => undefined);
      stream.on('end', () => stream.end());
      streams.emit('stream', stream);
    });
    const registry = new SeriesRegistry();
    const arriving = once(streams, 'stream') as Promise<[ServerDuplexStream<Report, Directive>]>;
    const client = new ObservationClient({
      channel,
      headers: () => [],
      registry,
      certificate: () => undefined,
      applied: () => [],
      learned: () => [],
    });
    client.start();
    const [stream] = await arriving;
    const incoming = on(stream, 'data')[Symbol.asyncIterator]() as AsyncIterator<[Report]>;
    const next = async () => ((await incoming.next()) as { value: [Report] }).value[0];
    reports.push(await next());
    registry.counter('c_total').add(0, 1);
    stream.write(create(DirectiveSchema, { report: 1n }));
    reports.push(await next());
    stream.write(create(DirectiveSchema, { report: 2n }));
    reports.push(await next());
    assert.deepEqual(
      reports.map(({ definitions, points, answers }) => [
        definitions.map(({ id, name }) => `${id} ${name}`),
        points.map(({ id, values }) => `${id}: ${values.join()}`),
        answers,
      ]),
      [
        [['0 lateen_telemetry_series_dropped_total'], ['0: 0'], 0n],
        [['1 c_total'], ['1: 1'], 1n],
        [[], [], 2n],
      ],
    );
    assert.equal(new Set(reports.map(({ epoch }) => epoch)).size, 1);
    client.close();
    channel.close();
    server.forceShutdown();
  });
});
