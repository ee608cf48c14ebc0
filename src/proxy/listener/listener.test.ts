// Where connections arrive: what they are taken for, however their first bytes are cut, and what changes do to them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import { after, afterEach, before, describe, it } from 'node:test';
import { foreignAuthority, issue, type Credentials } from '../../../test/harness/certificates.js';
import { listenTcp, metadataOf, openSecrets, type Secrets } from '../../../test/harness/secrets.js';
import { encodePreamble } from '../../telemetry/peer-metadata.js';
import { TlsAcceptor } from '../tls/acceptor.js';
import type { ConnectionInfo } from './connection-info.js';
import type { FilterChain, FilterChainMatch, Handled, NetworkFilter, ServerNews } from './filter-chain.js';
import { Listener, type ListenerConfig } from './listener.js';

const serverUri = 'spiffe://cluster.local/ns/shop/sa/server';
const clientUri = 'spiffe://cluster.local/ns/shop/sa/client';

let secrets: Secrets;
let client: Credentials;
before(async () => {
  const authority = await foreignAuthority();
  secrets = await openSecrets(authority, serverUri);
  client = await issue(authority, [clientUri]);
});
after(() => secrets.store.close());

interface Taken {
  readonly chain: string;
  readonly socket: Socket;
  readonly first: Buffer | undefined;
  readonly info: ConnectionInfo;
  drained: boolean;
}

/** A server that a chain was asked to connect to ahead. */
interface Ahead {
  readonly chain: string;
  /** What becomes of it. */
  state: 'open' | 'claimed' | 'abandoned';
  readonly news: (news: ServerNews) => void;
}

/** Chains that note what they are given, in a listener that real connections are handed to. */
class Scene {
  readonly taken: Taken[] = [];
  readonly refused: string[] = [];
  readonly ahead: Ahead[] = [];
  /** Which chains took policies of which others, in turn. */
  readonly policies: string[] = [];
  /** Filters of the kind that all chains have. */
  readonly chainNames = new Map<NetworkFilter, string>();
  readonly listener: Listener;
  #wake: (() => void) | undefined;
  port = 0;
  #close: (() => void) | undefined;

  constructor(
    chains: readonly FilterChain[] | ((scene: Scene) => readonly FilterChain[]),
    config: Partial<ListenerConfig> = {},
  ) {
    this.listener = new Listener(this.config(typeof chains === 'function' ? chains(this) : chains, config), {
      metadata: () => metadataOf('server'),
      ownUri: () => serverUri,
      onRefused: (_, kind) => {
        this.refused.push(kind);
        this.#wake?.();
      },
      onBindFailure: () => assert.fail('nothing is bound here'),
    });
  }

  config(chains: readonly FilterChain[], config: Partial<ListenerConfig> = {}): ListenerConfig {
    return {
      name: 'test',
      address: undefined,
      direction: 'inbound',
      inspectsTls: true,
      inspectsHttp: true,
      inspectionTimeoutMs: 60_000,
      routeNames: new Set(),
      clusters: new Set(),
      chains,
      ...config,
    };
  }

  chain(key: string, match: Partial<FilterChainMatch>, acceptor?: TlsAcceptor): FilterChain {
    const chain: FilterChain = {
      key,
      match: { transportProtocol: '', applicationProtocols: [], serverNames: [], ...match },
      tls: acceptor,
      filter: {
        handle: (socket, first, info, onClose): Handled => {
          const taken: Taken = { chain: key, socket, first, info, drained: false };
          this.taken.push(taken);
          socket.once('close', onClose);
          this.#wake?.();
          return { isIdle: true, drain: () => (taken.drained = true), destroy: () => socket.destroy() };
        },
        takePolicies: (other) => {
          const from = this.chainNames.get(other);
          if (from === undefined) return false;
          this.policies.push(`${key} takes those of ${from}`);
          return true;
        },
      },
    };
    this.chainNames.set(chain.filter, key);
    return chain;
  }

  /** The same for bytes, whose servers may speak first. */
  bytesChain(key: string, match: Partial<FilterChainMatch> = {}): FilterChain {
    const chain = this.chain(key, match);
    const { filter } = chain;
    filter.openAhead = (socket, info, news) => {
      const ahead: Ahead = { chain: key, state: 'open', news };
      this.ahead.push(ahead);
      this.#wake?.();
      return {
        claim: (first, onClose) => {
          ahead.state = 'claimed';
          return filter.handle(socket, first, info, onClose);
        },
        abandon: () => (ahead.state = 'abandoned'),
      };
    };
    return chain;
  }

  /** The next server that is connected to ahead. */
  async nextAhead(): Promise<Ahead> {
    while (this.ahead.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.ahead.shift()!;
  }

  async open(): Promise<this> {
    const { port, close } = await listenTcp((socket) => this.listener.accept(socket, undefined));
    this.port = port;
    this.#close = close;
    return this;
  }

  /** The next connection that a chain has taken, or why one was refused. */
  async next(): Promise<Taken | string> {
    while (this.taken.length + this.refused.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.taken.shift() ?? this.refused.shift()!;
  }

  async take(): Promise<Taken> {
    const next = await this.next();
    assert.ok(typeof next !== 'string', String(next));
    return next;
  }

  close(): void {
    this.listener.close();
    this.#close?.();
  }
}

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

async function scene(...args: ConstructorParameters<typeof Scene>): Promise<Scene> {
  const opened = await new Scene(...args).open();
  closers.push(() => opened.close());
  return opened;
}

function dial(port: number): Socket {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  return socket;
}

const kinds = (at: Scene) => [
  at.chain('tls', { transportProtocol: 'tls' }),
  at.chain('http', { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1'] }),
  at.chain('bytes', { transportProtocol: 'raw_buffer' }),
];

/** Everything that a connection has brought, from its first byte. */
async function received(taken: Taken, length: number): Promise<string> {
  let text = String(taken.first ?? '');
  taken.socket.on('data', (data) => (text += String(data)));
  taken.socket.resume();
  while (text.length < length) await once(taken.socket, 'data');
  return text;
}

describe('a connection', () => {
  const request = 'POST /a HTTP/1.1\r\n\r\n';

  it('of HTTP goes to the chain for HTTP at every split, with every byte', async () => {
    const at = await scene(kinds);
    for (let split = 1; split < 8; split++) {
      const socket = dial(at.port);
      socket.write(request.slice(0, split));
      await once(socket, 'connect');
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(request.slice(split));
      const taken = await at.take();
      assert.equal(taken.chain, 'http', `split after ${split}`);
      assert.equal(await received(taken, request.length), request);
    }
  });

  it('of HTTP/2 goes to the chain that takes it', async () => {
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    const at = await scene((self) => [
      self.chain('h1', { applicationProtocols: ['http/1.1'] }),
      self.chain('h2', { applicationProtocols: ['h2c'] }),
      self.chain('bytes', {}),
    ]);
    for (const [text, chain] of [
      [preface, 'h2'],
      [request, 'h1'],
      ['PRI * HTTP/2.0\r\n\r\nX', 'bytes'],
    ] as const) {
      dial(at.port).write(text);
      const taken = await at.take();
      assert.equal(taken.chain, chain);
      assert.equal(await received(taken, text.length), text);
    }
  });

  it('of anything else goes to the chain for bytes', async () => {
    const at = await scene(kinds);
    for (const text of ['SSH-2.0-x\r\n', 'POSX', '\0\0\0\x08']) {
      dial(at.port).write(text);
      const taken = await at.take();
      assert.equal(taken.chain, 'bytes');
      assert.equal(await received(taken, text.length), text);
      assert.equal(taken.info.security, 'none');
    }
  });

  it('that ends before it said enough is bytes', async () => {
    const at = await scene(kinds);
    dial(at.port).end('GE');
    const taken = await at.take();
    assert.equal(taken.chain, 'bytes');
    assert.equal(String(taken.first), 'GE');
    dial(at.port).end();
    assert.equal((await at.take()).chain, 'bytes');
  });

  it('that says nothing in time is bytes', async () => {
    const at = await scene(kinds, { inspectionTimeoutMs: 1 });
    dial(at.port);
    assert.equal((await at.take()).chain, 'bytes');
  });

  it('is not looked at where there is nothing to choose', async () => {
    const at = await scene((self) => [self.chain('only', {})], { inspectsTls: false, inspectsHttp: false });
    dial(at.port);
    const taken = await at.take();
    assert.equal(taken.chain, 'only');
    assert.equal(taken.first, undefined);
  });

  it('that no chain takes is refused', async () => {
    const at = await scene((self) => [self.chain('tls', { transportProtocol: 'tls' })]);
    const socket = dial(at.port);
    socket.write('GET / HTTP/1.1\r\n');
    assert.equal(await at.next(), 'plaintext');
  });
});

describe('a connection whose client is silent', () => {
  const request = 'GET / HTTP/1.1\r\n\r\n';
  const detecting = (at: Scene) => [
    at.chain('http', { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] }),
    at.bytesChain('bytes', { transportProtocol: 'raw_buffer' }),
  ];
  const open = () => scene(detecting, { inspectionTimeoutMs: 1 });
  const learnHttp = async (at: Scene) => {
    dial(at.port).write(request);
    assert.equal((await at.take()).chain, 'http');
    at.ahead.length = 0; // one that was quicker than the request
  };

  it('is bytes once its server has spoken, and from then on servers are not waited for', async () => {
    const at = await open();
    dial(at.port);
    const ahead = await at.nextAhead();
    assert.deepEqual([at.taken.length, at.listener.learned], [0, undefined]);
    ahead.news('spoke');
    assert.equal((await at.take()).chain, 'bytes');
    assert.equal(ahead.state, 'claimed');
    assert.equal(at.listener.learned?.protocol, 'server-first');
    at.listener.reconfigure(at.config([...at.listener.config.chains], { inspectionTimeoutMs: 2 ** 31 - 1 }));
    dial(at.port);
    (await at.nextAhead()).news('spoke');
    assert.equal((await at.take()).chain, 'bytes');
  });

  for (const [name, text, learned] of [
    ['HTTP', request, 'http'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2'],
  ] as const)
    it(`is ${name} where that comes before its server has spoken, which loses its connection`, async () => {
      const at = await open();
      const socket = dial(at.port);
      const ahead = await at.nextAhead();
      socket.write(text);
      const taken = await at.take();
      assert.equal(taken.chain, 'http');
      assert.equal(ahead.state, 'abandoned');
      assert.equal(await received(taken, text.length), text);
      assert.equal(at.listener.learned?.protocol, learned);
    });

  it('is bytes with the bytes that come, to the server that waits for them', async () => {
    const at = await open();
    const socket = dial(at.port);
    const ahead = await at.nextAhead();
    socket.write('\0hello');
    const taken = await at.take();
    assert.deepEqual([taken.chain, String(taken.first), ahead.state], ['bytes', '\0hello', 'claimed']);
    assert.equal(at.listener.learned?.protocol, 'client-first');
  });

  it('is bytes where its server has gone, or it ends itself, and that tells nothing of the port', async () => {
    const at = await open();
    dial(at.port);
    (await at.nextAhead()).news('over');
    assert.equal((await at.take()).chain, 'bytes');
    const socket = dial(at.port);
    const ahead = await at.nextAhead();
    socket.end();
    assert.equal((await at.take()).chain, 'bytes');
    assert.equal(ahead.state, 'claimed');
    assert.equal(at.listener.learned, undefined);
  });

  it('is not taken for bytes on a port of HTTP, even where its server goes', async () => {
    const at = await open();
    await learnHttp(at);
    const socket = dial(at.port);
    const ahead = await at.nextAhead();
    ahead.news('over');
    assert.equal(ahead.state, 'abandoned');
    socket.write(request);
    assert.equal((await at.take()).chain, 'http');
  });

  it('is heard by a server that speaks first on a port that was taken for HTTP, which mends that', async () => {
    const at = await open();
    await learnHttp(at);
    dial(at.port);
    (await at.nextAhead()).news('spoke');
    assert.equal((await at.take()).chain, 'bytes');
    assert.equal(at.listener.learned?.protocol, 'server-first');
  });

  it('of HTTP on a port that was taken for a server that speaks first is HTTP, which mends that', async () => {
    const at = await open();
    dial(at.port);
    (await at.nextAhead()).news('spoke');
    await at.take();
    const socket = dial(at.port);
    const ahead = await at.nextAhead();
    socket.write(request);
    assert.equal((await at.take()).chain, 'http');
    assert.equal(ahead.state, 'abandoned');
    assert.equal(at.listener.learned?.protocol, 'http');
  });

  it('goes where newer configuration says, not to the server that was connected to before', async () => {
    const at = await open();
    const socket = dial(at.port);
    const ahead = await at.nextAhead();
    at.listener.reconfigure(at.config([at.bytesChain('other')]));
    socket.write('\0');
    assert.equal((await at.take()).chain, 'other');
    assert.equal(ahead.state, 'abandoned');
  });

  it('is no work, so that draining does not wait for it', async () => {
    const at = await open();
    const socket = dial(at.port);
    await at.nextAhead();
    assert.equal(at.listener.hasWork, false);
    socket.write('GE');
    while (!at.listener.hasWork) await new Promise((resolve) => setImmediate(resolve));
  });

  it('has its server left alone where that is not for it', async () => {
    const at = await scene(
      (self) => {
        const chain = self.bytesChain('bytes');
        chain.filter.openAhead = () => undefined;
        return [chain];
      },
      { inspectionTimeoutMs: 1 },
    );
    dial(at.port);
    assert.equal((await at.take()).chain, 'bytes');
  });

  it('tells nothing of a port that is declared', async () => {
    const at = await scene((self) => [self.bytesChain('bytes')], { inspectionTimeoutMs: 1, inspectsHttp: false });
    dial(at.port);
    (await at.nextAhead()).news('spoke');
    await at.take();
    assert.equal(at.listener.learned, undefined);
  });
});

describe('a connection over mutual TLS', () => {
  const acceptors: TlsAcceptor[] = [];
  const mutual = (at: Scene, key = 'mtls') => {
    const acceptor = new TlsAcceptor(secrets.store, ['lateen-h1']);
    acceptors.push(acceptor);
    return at.chain(key, { transportProtocol: 'tls' }, acceptor);
  };
  after(() => acceptors.forEach((acceptor) => acceptor.close()));

  function dialTls(port: number, protocols: string[], credentials: Partial<Credentials> = client): tls.TLSSocket {
    const socket = tls.connect({
      socket: dial(port),
      servername: 'web.shop',
      ALPNProtocols: protocols,
      rejectUnauthorized: false,
      ...(credentials.key === undefined ? {} : { key: credentials.key, cert: credentials.cert! }),
    });
    socket.on('error', () => undefined);
    return socket;
  }

  it('tells its chain who calls, with what the caller says of itself', async () => {
    const at = await scene((self) => [mutual(self)]);
    const socket = dialTls(at.port, ['lateen-h1']);
    socket.write(Buffer.concat([encodePreamble(metadataOf('client')), Buffer.from('bytes')]));
    const { info, first } = await at.take();
    assert.equal(info.security, 'mutual_tls');
    assert.equal(info.serverName, 'web.shop');
    assert.equal(info.source.workload, 'client-v1');
    assert.equal(info.source.principal, clientUri);
    assert.match(
      info.forwardedClientCert!,
      /^By=spiffe:\/\/.*\/server;Hash=[0-9a-f]{64};Subject="";URI=spiffe:\/\/.*\/client$/,
    );
    assert.equal(String(first), 'bytes');
  });

  it('does not believe a caller that says it is somebody else', async () => {
    const at = await scene((self) => [mutual(self)]);
    dialTls(at.port, ['lateen-h1']).write(encodePreamble(metadataOf('admin')));
    const { info } = await at.take();
    assert.equal(info.source.workload, 'unknown');
    assert.equal(info.source.principal, clientUri);
  });

  it('is no work while nothing happens on it, so that draining does not wait for it', async () => {
    const at = await scene((self) => [mutual(self)]);
    const socket = dialTls(at.port, ['lateen-h1']);
    await once(socket, 'data'); // the server's metadata: the handshake is over, ours is awaited
    assert.equal(at.listener.hasWork, true);
    socket.write(encodePreamble(metadataOf('client')));
    await at.take();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(at.listener.hasWork, false);
  });

  it('is refused with its reason counted', async () => {
    const at = await scene((self) => [mutual(self)]);
    dialTls(at.port, ['lateen-h1'], {});
    assert.equal(await at.next(), 'untrusted certificate');
    dialTls(at.port, ['lateen-h1']).write('no metadata');
    assert.equal(await at.next(), 'handshake');
  });

  it('whose chain is replaced while it opens is drained as soon as it is open', async () => {
    const at = await scene((self) => [mutual(self, 'old')]);
    const socket = dialTls(at.port, ['lateen-h1']);
    await once(socket, 'data'); // the server's metadata: the handshake is over, ours is awaited
    at.listener.reconfigure(at.config([mutual(at, 'new')]));
    socket.write(encodePreamble(metadataOf('client')));
    const taken = await at.take();
    assert.equal(taken.chain, 'old');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(taken.drained, true);
    assert.deepEqual(at.policies, ['old takes those of new'], 'it may carry a request before it ends');
  });
});

describe('new configuration', () => {
  it('drains connections of chains that are gone and leaves the others alone', async () => {
    const at = await scene((self) => [self.chain('a', { applicationProtocols: ['http/1.1'] }), self.chain('b', {})]);
    dial(at.port).write('GET / HTTP/1.1\r\n');
    dial(at.port).write('\0');
    const open = [await at.take(), await at.take()];
    at.listener.reconfigure(at.config([at.chain('b', {})]));
    assert.deepEqual(Object.fromEntries(open.map(({ chain, drained }) => [chain, drained])), { a: true, b: false });
    dial(at.port).write('GET / HTTP/1.1\r\n');
    assert.equal((await at.take()).chain, 'b');
  });

  it('gives new policies to chains that stay, and to what is open of chains that are gone', async () => {
    const at = await scene((self) => [
      self.chain('stays', {}),
      self.chain('goes', { applicationProtocols: ['http/1.1'] }),
    ]);
    dial(at.port).write('GET / HTTP/1.1\r\n');
    assert.equal((await at.take()).chain, 'goes');
    const reconfigure = (...names: string[]) => {
      at.policies.length = 0;
      at.listener.reconfigure(
        at.config([
          at.chain('stays', {}),
          ...names.map((name) => at.chain(name, { applicationProtocols: ['http/1.1'] })),
        ]),
      );
      return at.policies.toSorted();
    };
    assert.deepEqual(reconfigure('comes'), ['goes takes those of comes', 'stays takes those of stays']);
    assert.deepEqual(reconfigure(), ['goes takes those of stays', 'stays takes those of stays']);
    assert.deepEqual(reconfigure('again'), ['goes takes those of again', 'stays takes those of stays']);
  });
});

describe('a bound listener', () => {
  it('takes connections, tries again where its port is taken, and stops when it is drained', async (t) => {
    const squatter = net.createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as AddressInfo;
    let failed: () => void;
    const failure = new Promise<void>((resolve) => (failed = resolve));
    const taken = new Promise<ConnectionInfo>((resolve) => {
      const only: FilterChain = {
        key: 'only',
        match: { transportProtocol: '', applicationProtocols: [], serverNames: [] },
        tls: undefined,
        filter: {
          handle: (socket, _, info) => {
            resolve(info);
            return { isIdle: true, drain: () => undefined, destroy: () => socket.destroy() };
          },
          takePolicies: () => false,
        },
      };
      const listener = new Listener(
        {
          name: 'bound',
          address: { address: '127.0.0.1', port },
          direction: 'inbound',
          inspectsTls: false,
          inspectsHttp: false,
          inspectionTimeoutMs: 1,
          routeNames: new Set(),
          clusters: new Set(),
          chains: [only],
        },
        {
          metadata: () => metadataOf('server'),
          ownUri: () => serverUri,
          onRefused: () => undefined,
          onBindFailure: () => failed(),
        },
      );
      t.after(() => listener.close());
      listener.bind(() => dial(port));
    });
    await failure;
    squatter.close();
    const { localAddress } = await taken;
    assert.equal(localAddress, `127.0.0.1:${port}`);
  });
});
