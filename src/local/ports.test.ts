// Loopback ports: free, remembered, out of the way of outgoing connections, and never given to two meshes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { isFree, PortAllocator } from './ports.js';

const toClose: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of toClose.splice(0)) one.close();
});
function createAllocator(): PortAllocator {
  const allocator = new PortAllocator();
  toClose.push(allocator);
  return allocator;
}
async function listenOn(port: number): Promise<number> {
  const server = net.createServer().listen(port, '127.0.0.1');
  toClose.push(server);
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

describe('a port', () => {
  it('is the same for the same purpose and another for another', async () => {
    const allocator = createAllocator();
    const [a, b, again] = [await allocator.allocate('a'), await allocator.allocate('b'), await allocator.allocate('a')];
    assert.equal(again, a);
    assert.notEqual(a, b);
  });

  it('can be listened on', async () => {
    const port = await createAllocator().allocate('a');
    assert.equal(await listenOn(port), port);
  });

  it('is not one that somebody listens on', async () => {
    const allocator = createAllocator();
    const first = await allocator.allocate('first');
    await listenOn(first + 1);
    assert.notEqual(await allocator.allocate('second'), first + 1);
  });

  it('stays the same though it is in use: its user is who asked', async () => {
    const allocator = createAllocator();
    const port = await allocator.allocate('a');
    await listenOn(port);
    assert.equal(await allocator.allocate('a'), port);
  });

  it('is given by one allocator only, more of them than a block has', async () => {
    const allocators = [createAllocator(), createAllocator()];
    const ports: number[] = [];
    for (let i = 0; i < 70; i++) for (const allocator of allocators) ports.push(await allocator.allocate(String(i)));
    assert.equal(new Set(ports).size, ports.length);
  });
});

describe('whether a port is free', () => {
  it('is found by listening', async () => {
    const port = await listenOn(0);
    assert.equal(await isFree(port), false);
    toClose.splice(0).forEach((server) => server.close());
    assert.equal(await isFree(port), true);
  });
});
