// Holds a switch of protocols to its rules: only what is allowed is asked for, and bytes flow only after the server agreed.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { closeProxies, get, ok, proxy } from '../../../test/harness/memory-proxy.js';
import { settle } from '../../../test/harness/memory-socket.js';

afterEach(closeProxies);

const asking = (protocol: string) => get('/', 'Connection: Upgrade', `Upgrade: ${protocol}`, 'Sec-WebSocket-Key: k');
const switching = (protocol: string) =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
const open = () => proxy({ settings: { upgrades: new Set(['websocket']) } });

describe('an upgrade to WebSocket', () => {
  it('carries bytes both ways once the server has switched', async () => {
    const through = open();
    await through.send(asking('websocket'));
    const server = await through.connect();
    assert.match(server.sent, /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
    server.receive(`${switching('websocket')}hello`);
    await settle();
    assert.match(
      through.caller.sent,
      /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*connection: upgrade\r\nupgrade: websocket\r\n\r\nhello$/,
    );
    assert.equal(await through.send('ping'), '');
    assert.match(server.sent, /ping$/);
    server.receive('pong');
    await settle();
    assert.match(through.caller.sent, /pong$/);
    server.receiveEnd();
    through.caller.receiveEnd();
    await settle();
    assert.deepEqual(through.requests(), [['101', 1]]);
    assert.equal(through.logged[0]?.bytesSent, 'hellopong'.length);
    assert.equal(through.logged[0]?.bytesReceived, 'ping'.length);
    const { usage } = through.clusters.get('c')!;
    assert.deepEqual([usage.requests, usage.connections], [0, 0]);
  });

  it('forwards nothing that a caller sends before the server has switched', async () => {
    const through = open();
    await through.send(`${asking('websocket')}early`);
    const server = await through.connect();
    assert.doesNotMatch(server.sent, /early/);
    server.receive(switching('websocket'));
    await settle();
    assert.match(server.sent, /early$/);
  });

  it('that the server answers otherwise leaves an ordinary connection', async () => {
    const through = open();
    await through.send(asking('websocket'));
    const server = await through.connect();
    server.receive(ok('no'));
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 200 OK[^]*no$/);
    await through.send(get('/second'));
    assert.match(server.sent, /GET \/second /);
  });
});

describe('an upgrade that is not allowed', () => {
  it('is not asked for, and the request goes on without it', async () => {
    const through = open();
    await through.send(asking('h2c'));
    const server = await through.connect();
    assert.doesNotMatch(server.sent, /upgrade/i);
    server.receive(ok('plain'));
    await settle();
    assert.match(through.caller.sent, /plain$/);
  });

  it('to which a server switches all the same is a broken answer', async () => {
    const through = open();
    await through.send(asking('h2c'));
    (await through.connect()).receive(switching('h2c'));
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 502/);
  });

  it('without Connection: upgrade is none', async () => {
    const through = open();
    await through.send(get('/', 'Upgrade: websocket'));
    assert.doesNotMatch((await through.connect()).sent, /upgrade/i);
  });
});
