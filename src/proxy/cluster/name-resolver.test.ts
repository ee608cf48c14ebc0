// Endpoints with names follow what the names mean, and stay while nobody answers.
import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import type { EndpointConfig } from '../config/cluster-config.js';
import { NameResolver, type Lookup } from './name-resolver.js';

const endpoint = (address: string, port = 80): EndpointConfig => ({
  address,
  port,
  weight: 1,
  transportLabels: {},
  workloadSummary: undefined,
});

let resolver: NameResolver | undefined;
afterEach(() => {
  resolver?.close();
  mock.timers.reset();
});

function resolve(endpoints: EndpointConfig[], answers: (readonly string[] | undefined)[]) {
  mock.timers.enable({ apis: ['setTimeout'] });
  const rounds: string[][] = [];
  const asked: string[] = [];
  const lookUp: Lookup = (name, done) => {
    asked.push(name);
    done(answers.shift());
  };
  const tell = (resolved: readonly EndpointConfig[]) =>
    rounds.push(resolved.map(({ address, port }) => `${address}:${port}`));
  resolver = new NameResolver(endpoints, 1000, tell, lookUp);
  return { rounds, asked };
}

describe('a name', () => {
  it('stands for all its addresses, in one order', () =>
    assert.deepEqual(resolve([endpoint('a')], [['10.0.0.2', '10.0.0.1']]).rounds, [['10.0.0.1:80', '10.0.0.2:80']]));
  it('is looked up again, and what it meant stays while nobody answers', () => {
    const { rounds } = resolve([endpoint('a')], [['10.0.0.1'], undefined, ['10.0.0.2'], []]);
    for (let i = 0; i < 3; i++) mock.timers.tick(1000);
    assert.deepEqual(rounds, [['10.0.0.1:80'], ['10.0.0.1:80'], ['10.0.0.2:80'], []]);
  });
  it('that never was answered is nowhere', () => assert.deepEqual(resolve([endpoint('a')], [undefined]).rounds, [[]]));
  it('is looked up once for all its ports, beside addresses', () => {
    const { rounds, asked } = resolve([endpoint('a', 1), endpoint('::1', 2), endpoint('a', 3)], [['10.0.0.1']]);
    assert.deepEqual([rounds, asked], [[['10.0.0.1:1', '::1:2', '10.0.0.1:3']], ['a']]);
  });
  it('is not looked up any more after the end', () => {
    const { asked } = resolve([endpoint('a')], [['10.0.0.1']]);
    resolver!.close();
    mock.timers.tick(5000);
    assert.deepEqual(asked, ['a']);
  });
  it('of this machine is found by the system', async () => {
    const found = await new Promise<readonly EndpointConfig[]>((done) => {
      resolver = new NameResolver([endpoint('localhost')], 1e6, done);
    });
    assert.ok(found.some(({ address }) => address === '127.0.0.1' || address === '::1'));
  });
});
