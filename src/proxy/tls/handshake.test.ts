// Both ends of mutual TLS against each other and against strangers, over real connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Authority } from '../../ca/authority.js';
import { foreignAuthority, issue } from '../../../test/harness/certificates.js';
import { listenTcp, metadataOf, openSecrets, type Secrets } from '../../../test/harness/secrets.js';
import { TlsAcceptor, type Accepted } from './acceptor.js';
import { readClientHello } from './client-hello.js';
import { Connector, type ConnectOutcome, type SessionCache } from './connector.js';
import { exchangePreambles } from './preamble.js';
import { SecretStore } from './secret-store.js';

const id = (account: string) => `spiffe://cluster.local/ns/shop/sa/${account}`;
const protocol = 'lateen-tcp';

let authority: Authority;
let server: Secrets;
let client: Secrets;
before(async () => {
  authority = await foreignAuthority();
  server = await openSecrets(authority, id('server'));
  client = await openSecrets(authority, id('client'));
});
after(() => {
  server.store.close();
  client.store.close();
});

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

/** A server as the listener makes one: reads the hello, then has the acceptor take over. */
async function serve(secrets: Secrets = server): Promise<{ port: number; accepted: AsyncGenerator<Accepted> }> {
  const acceptor = new TlsAcceptor(secrets.store, [protocol]);
  const queue: Accepted[] = [];
  let wake: (() => void) | undefined;
  const { port, close } = await listenTcp((socket) => {
    socket.once('data', (first) => {
      const state = readClientHello(first);
      const offered = state.state === 'complete' ? state.hello.protocols : [];
      acceptor.accept(socket, first, offered, (accepted) => {
        queue.push(accepted);
        wake?.();
        if (!accepted.ok) return;
        accepted.socket.on('error', () => undefined);
        if (accepted.socket.alpnProtocol === protocol)
          exchangePreambles(accepted.socket, metadataOf('server'), ({ ok }) => ok && accepted.socket.write('hello'));
        else accepted.socket.write('hello');
      });
    });
  });
  closers.push(() => {
    acceptor.close();
    close();
  });
  async function* each(): AsyncGenerator<Accepted> {
    for (;;) {
      if (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      yield queue.shift()!;
    }
  }
  return { port, accepted: each() };
}

const nextOf = async <T>(values: AsyncGenerator<T>): Promise<T> => (await values.next()).value as T;

function connect(
  port: number,
  {
    secrets = client.store,
    identities = [id('server')],
    sessions = new Map() as SessionCache,
    protocols = [protocol] as readonly string[],
    timeoutMs = 30_000,
  } = {},
): Promise<ConnectOutcome> {
  return new Promise((resolve) => {
    const connector = new Connector(secrets, () => metadataOf('client'));
    const tlsTarget = { serverName: 'web', identities: new Set(identities) };
    connector.connect({ address: '127.0.0.1', port, timeoutMs, tls: tlsTarget, protocols, sessions }, (outcome) => {
      if (outcome.ok) {
        outcome.connection.socket.on('error', () => undefined);
        closers.push(() => outcome.connection.socket.destroy());
      }
      resolve(outcome);
    });
  });
}

/** Waits for the bytes of the application and for the ticket that came before. */
async function readHello(outcome: ConnectOutcome): Promise<string> {
  assert.ok(outcome.ok, outcome.ok ? '' : outcome.reason);
  const { socket, first } = outcome.connection;
  let text = String(first ?? '');
  socket.on('data', (data) => (text += String(data)));
  socket.resume();
  while (text.length < 5) await once(socket, 'data');
  return text;
}

describe('a connection between workloads', () => {
  it('tells each side who the other is', async () => {
    const { port, accepted } = await serve();
    const outcome = await connect(port);
    assert.equal(await readHello(outcome), 'hello');
    assert.ok(outcome.ok);
    assert.equal(outcome.connection.peer?.principal, id('server'));
    assert.equal(outcome.connection.peer?.workload, 'server-v1');
    const soonest = Math.min(server.credentials.notAfterMs, client.credentials.notAfterMs);
    assert.equal(outcome.connection.expiresAtMs, soonest);
    const peer = await nextOf(accepted);
    assert.ok(peer.ok);
    assert.equal(peer.peer.uri, id('client'));
    assert.equal(peer.peer.expiresAtMs, soonest);
    assert.match(peer.peer.certificateHash, /^[0-9a-f]{64}$/);
    assert.equal(peer.socket.getProtocol(), 'TLSv1.3');
  });

  it('is resumed the next time, with the same checks', async () => {
    const { port, accepted } = await serve();
    const sessions: SessionCache = new Map();
    await readHello(await connect(port, { sessions }));
    await nextOf(accepted);
    assert.equal(sessions.size, 1);
    const again = await connect(port, { sessions });
    await readHello(again);
    assert.ok(again.ok && (again.connection.socket as tls.TLSSocket).isSessionReused());
    assert.equal(again.connection.peer?.principal, id('server'));
    const peer = await nextOf(accepted);
    assert.ok(peer.ok && peer.peer.uri === id('client'));
    const other = await connect(port, { sessions, identities: [id('other')] });
    assert.ok(!other.ok);
    assert.match(other.reason, /TLS error: .*server is not .*other/);
    assert.equal(sessions.size, 0);
  });

  it('carries bytes one way after the other way has ended', async () => {
    const { port, accepted } = await serve();
    const outcome = await connect(port);
    await readHello(outcome);
    const peer = await nextOf(accepted);
    assert.ok(outcome.ok && peer.ok);
    peer.socket.resume();
    const ended = once(peer.socket, 'end');
    outcome.connection.socket.end();
    await ended;
    const answer = once(outcome.connection.socket, 'data');
    peer.socket.end('after');
    assert.equal(String((await answer)[0]), 'after');
  });

  it('works with a client that offers no protocol that the server knows', async () => {
    const { port, accepted } = await serve();
    const outcome = await connect(port, { protocols: ['x'] });
    assert.equal(await readHello(outcome), 'hello');
    assert.ok(outcome.ok);
    assert.equal(outcome.connection.peer?.workload, 'unknown', 'nothing was told');
    assert.equal(outcome.connection.peer?.namespace, 'shop', 'this is in the certificate');
    assert.equal((await nextOf(accepted)).ok, true);
  });

  it('ends with the certificate under which it began, though it was renewed during the handshake', async () => {
    const old = await openSecrets(authority, id('client'), 600_000);
    const renewed = await openSecrets(authority, id('client'));
    closers.push(
      () => old.store.close(),
      () => renewed.store.close(),
    );
    let current = old.credentials;
    const secrets = {
      get credentials() {
        return current;
      },
    } as SecretStore;
    const { port } = await serve();
    // A wire on which the certificate is renewed once the client has spoken.
    const relay = await listenTcp((from) => {
      const to = net.connect({ port, host: '127.0.0.1' });
      closers.push(() => to.destroy());
      to.on('error', () => undefined);
      from.pipe(to);
      from.once('data', () => {
        current = { ...renewed.credentials, generation: old.credentials.generation + 1 };
        to.pipe(from);
      });
    });
    closers.push(relay.close);
    const sessions: SessionCache = new Map();
    const outcome = await connect(relay.port, { secrets, sessions });
    await readHello(outcome);
    assert.ok(outcome.ok);
    assert.equal(outcome.connection.expiresAtMs, old.credentials.notAfterMs);
    assert.deepEqual(
      [...sessions.values()].map(({ generation }) => generation),
      [old.credentials.generation],
    );
  });
});

describe('an acceptor', () => {
  /** Connects as anybody; resolves when the connection is over. */
  async function intrude(port: number, options: tls.ConnectionOptions): Promise<string> {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, servername: 'web', ...options });
    let text = '';
    socket.on('data', (data) => (text += String(data)));
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('close', resolve)); // with an error or without
    return text;
  }

  async function refusal(options: tls.ConnectionOptions): Promise<Accepted & { ok: false }> {
    const { port, accepted } = await serve();
    assert.equal(await intrude(port, options), '', 'not a byte reaches who is refused');
    const outcome = await nextOf(accepted);
    assert.ok(!outcome.ok);
    return outcome;
  }

  it('refuses who shows no certificate', async () => {
    assert.equal((await refusal({})).kind, 'untrusted certificate');
  });

  it('refuses a certificate of another authority', async () => {
    const { key, cert } = await issue(await foreignAuthority(), [id('client')]);
    assert.equal((await refusal({ key, cert })).kind, 'untrusted certificate');
  });

  it('refuses an expired certificate', async () => {
    const { key, cert } = await issue(authority, [id('client')], { nowMs: Date.now() - 7_200_000 });
    assert.equal((await refusal({ key, cert })).kind, 'expired certificate');
  });

  it('refuses an identity of another trust domain, and a name that is no SPIFFE ID', async () => {
    const foreign = await issue(authority, ['spiffe://other/ns/shop/sa/client']);
    assert.equal((await refusal({ key: foreign.key, cert: foreign.cert })).kind, 'other trust domain');
    const host = await issue(authority, ['web.example']);
    assert.equal((await refusal({ key: host.key, cert: host.cert })).kind, 'no SPIFFE ID');
  });

  it('refuses TLS 1.2 with the reason that TLS gives', async () => {
    const { key, cert } = await issue(authority, [id('client')]);
    const { kind, reason } = await refusal({ key, cert, maxVersion: 'TLSv1.2' });
    assert.equal(kind, 'handshake');
    assert.match(reason, /protocol/i);
  });

  it('refuses everybody while it has no certificate', async () => {
    const empty = new SecretStore({
      requestCertificate: () => new Promise(() => undefined),
      onFailure: () => undefined,
    });
    const { port, accepted } = await serve({ store: empty, credentials: server.credentials });
    const socket = net.connect({ port, host: '127.0.0.1' });
    socket.write('x');
    socket.on('error', () => undefined);
    const outcome = await nextOf(accepted);
    assert.ok(!outcome.ok);
    assert.match(outcome.reason, /no certificate yet/);
    if (!socket.closed) await once(socket, 'close');
  });

  it('notices at once that a client goes away during the handshake', async () => {
    const { port, accepted } = await serve();
    const socket = net.connect({ port, host: '127.0.0.1' });
    socket.end(Buffer.from([0x16, 3, 1, 0, 100]));
    const outcome = await nextOf(accepted);
    assert.ok(!outcome.ok);
    assert.equal(outcome.kind, 'handshake');
  });

  it('keeps two connections of one client apart that differ in nothing but the address they go to', async () => {
    const acceptor = new TlsAcceptor(server.store, []);
    const outcomes = new Map<string, Accepted>();
    let both: () => void;
    const done = new Promise<void>((resolve) => (both = resolve));
    const listener = net.createServer({ pauseOnConnect: true }, (socket: Socket) => {
      const address = socket.localAddress!;
      acceptor.accept(socket, Buffer.alloc(0), [], (accepted) => {
        outcomes.set(address, accepted);
        if (outcomes.size === 2) both();
      });
    });
    listener.listen(0, '0.0.0.0');
    await once(listener, 'listening');
    const { port } = listener.address() as net.AddressInfo;
    const credentials = [await issue(authority, [id('one')]), await issue(authority, [id('two')])];
    const first = net.connect({ host: '127.0.0.1', port, localAddress: '127.0.0.1' });
    await once(first, 'connect');
    const second = net.connect({ host: '127.0.0.2', port, localAddress: '127.0.0.1', localPort: first.localPort! });
    await once(second, 'connect');
    for (const [i, socket] of [first, second].entries()) {
      const { key, cert } = credentials[i]!;
      tls.connect({ socket, key, cert, rejectUnauthorized: false }).on('error', () => undefined);
    }
    await done;
    const named = (address: string) => {
      const outcome = outcomes.get(address)!;
      return outcome.ok ? outcome.peer.uri : outcome.reason;
    };
    assert.deepEqual([named('127.0.0.1'), named('127.0.0.2')], [id('one'), id('two')]);
    acceptor.close();
    first.destroy();
    second.destroy();
    listener.close();
  });
});

describe('a connector', () => {
  async function failure(outcome: Promise<ConnectOutcome>): Promise<{ reason: string; timedOut: boolean }> {
    const result = await outcome;
    assert.ok(!result.ok);
    return result;
  }

  it('names a refused connection', async () => {
    const { port, close } = await listenTcp(() => undefined);
    close();
    assert.deepEqual(await failure(connect(port)), { ok: false, reason: 'connection refused', timedOut: false });
  });

  it('gives up on a server that does not answer', async () => {
    const { port, close } = await listenTcp(() => undefined);
    closers.push(close);
    const { reason, timedOut } = await failure(connect(port, { timeoutMs: 1 }));
    assert.equal(timedOut, true);
    assert.match(reason, /within 1 ms/);
  });

  it('refuses a server of another identity, authority or trust domain, or without one', async () => {
    const cases = [
      [await issue(authority, [id('thief')]), /thief is not .*server/],
      [await issue(await foreignAuthority(), [id('server')]), /TLS error/],
      [await issue(authority, ['spiffe://other/ns/shop/sa/server']), /trust domain/],
      [await issue(authority, ['web']), /URI names/],
    ] as const;
    for (const [{ key, cert }, expected] of cases) {
      const impostor = tls.createServer({ key, cert, ALPNProtocols: [protocol] });
      impostor.on('tlsClientError', () => undefined);
      impostor.on('secureConnection', (socket) => socket.on('error', () => undefined));
      impostor.listen(0, '127.0.0.1');
      await once(impostor, 'listening');
      const { reason } = await failure(connect((impostor.address() as net.AddressInfo).port));
      assert.match(reason, expected);
      impostor.close();
    }
  });

  it('fails where the server speaks no TLS', async () => {
    const { port, close } = await listenTcp((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    closers.push(close);
    assert.match((await failure(connect(port))).reason, /TLS error/);
  });

  it('forgets a session with which the server refuses it', async () => {
    const { port } = await serve();
    const sessions: SessionCache = new Map();
    await readHello(await connect(port, { sessions }));
    assert.equal(sessions.size, 1);
    // A server with the same tickets that lets nobody in any more.
    const shut = tls.createServer({
      ...server.credentials.serverOptions,
      requestCert: true,
      ALPNProtocols: [protocol],
    });
    shut.on('secureConnection', (socket) => socket.on('error', () => undefined).destroy());
    shut.listen(0, '127.0.0.1');
    await once(shut, 'listening');
    const { reason } = await failure(connect((shut.address() as net.AddressInfo).port, { sessions }));
    assert.match(reason, /refused/);
    assert.equal(sessions.size, 0);
    shut.close();
  });

  it('says so where it has no certificate yet', async () => {
    const secrets = new SecretStore({
      requestCertificate: () => new Promise(() => undefined),
      onFailure: () => undefined,
    });
    assert.match((await failure(connect(1, { secrets }))).reason, /no certificate yet/);
  });
});
