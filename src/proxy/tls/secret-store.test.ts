// When certificates are renewed, and which are taken; time is the test's.
import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { Authority } from '../../ca/authority.js';
import { createSigningRequest } from '../../identity/signing-request.js';
import { SecretStore, type Credentials } from './secret-store.js';

const web = 'spiffe://cluster.local/ns/shop/sa/web';
const startMs = Date.UTC(2025, 0, 1);
const hourMs = 3_600_000;

describe('a secret store', () => {
  let authority: Authority;
  let other: Authority;
  before(async () => {
    ({ authority } = await Authority.create('cluster.local', startMs));
    ({ authority: other } = await Authority.create('cluster.local', startMs));
  });

  const stores: SecretStore[] = [];
  let asked: string[];
  let failures: [string, number][];
  let answer: (csr: string) => Promise<readonly string[]>;
  let settled: () => void;
  beforeEach(() => {
    asked = [];
    failures = [];
    answer = (csr) => sign(csr);
  });
  afterEach(() => stores.splice(0).forEach((store) => store.close()));

  async function sign(csr: string, { by = authority, names = [web], lifetimeMs = 24 * hourMs } = {}) {
    const urls = names.map((value) => ({ type: 'url' as const, value }));
    return (await by.sign(csr, { names: urls, lifetimeMs, nowMs: Date.now() })).chain;
  }

  /** Starts a store; resolves with it when its first request has been dealt with. */
  async function start(t: TestContext, random = 0.5, ticketSecret?: Uint8Array): Promise<SecretStore> {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: startMs });
    const store = new SecretStore({
      requestCertificate: (csr) => {
        asked.push(csr);
        return answer(csr);
      },
      onFailure: (reason, retryInMs) => {
        failures.push([reason, retryInMs]);
        settled();
      },
      random: () => random,
      ...(ticketSecret && { ticketSecret }),
    });
    stores.push(store);
    store.watch(() => settled());
    const first = nextOutcome();
    store.start();
    await first;
    return store;
  }

  /** The next certificate or failure, and the timer that follows it. */
  async function nextOutcome(): Promise<void> {
    await new Promise<void>((resolve) => (settled = resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets time pass; says whether a request was made. */
  function pass(t: TestContext, ms: number): boolean {
    const before = asked.length;
    t.mock.timers.tick(ms);
    return asked.length > before;
  }

  it('tells the first certificate to those who wait, and later to those who come', async (t) => {
    const store = await start(t);
    const told: Credentials[] = [];
    const stop = store.watch((credentials) => told.push(credentials));
    assert.equal(told[0], store.credentials);
    assert.equal(told[0]!.uri, web);
    assert.equal(told[0]!.id.serviceAccount, 'web');
    assert.equal(told[0]!.notAfterMs, startMs + 24 * hourMs);
    stop();
    const renewed = nextOutcome();
    pass(t, 12 * hourMs);
    await renewed;
    assert.equal(told.length, 1);
    assert.equal(store.credentials!.generation, told[0]!.generation + 1);
  });

  for (const [random, share] of [
    [0, 0.49],
    [0.5, 0.5],
    [1, 0.51],
  ] as const)
    it(`renews after ${share * 100} % of the life where chance says ${random}, with a new key`, async (t) => {
      await start(t, random);
      const afterMs = Math.round(24 * hourMs * share);
      assert.equal(pass(t, afterMs - 2), false);
      const renewed = nextOutcome();
      assert.equal(pass(t, 4), true);
      await renewed;
      assert.notEqual(asked[0], asked[1]);
    });

  it('asks again after a failure, later and later, and keeps what it has', async (t) => {
    const store = await start(t);
    const before = store.credentials;
    answer = () => Promise.reject(new Error('the authority is away'));
    let outcome = nextOutcome();
    pass(t, 13 * hourMs);
    await outcome;
    for (const longest of [100, 200, 400]) {
      const [reason, retryInMs] = failures.at(-1)!;
      assert.equal(reason, 'the authority is away');
      assert.ok(retryInMs <= longest && retryInMs >= longest * 0.8, `${retryInMs}`);
      outcome = nextOutcome();
      assert.equal(pass(t, Math.ceil(retryInMs)), true);
      await outcome;
    }
    assert.equal(store.credentials, before);
    answer = (csr) => sign(csr);
    outcome = nextOutcome();
    pass(t, 1000);
    await outcome;
    assert.notEqual(store.credentials, before);
  });

  it('does not take a certificate that is over when it arrives, nor ask again without pause', async (t) => {
    answer = (csr) => sign(csr, { lifetimeMs: -hourMs });
    const store = await start(t);
    assert.equal(store.credentials, undefined);
    assert.equal(pass(t, 79), false);
  });

  it('does not ask without pause as the root comes to its end', async (t) => {
    answer = (csr) => sign(csr, { lifetimeMs: 1000 });
    await start(t);
    let requests = 0;
    for (let ms = 0; ms < 5000; ms += 50) {
      const outcome = nextOutcome();
      if (!pass(t, 50)) continue;
      await outcome;
      requests++;
    }
    assert.ok(requests <= 10, `${requests} requests in 5 s`);
  });

  for (const [what, respond] of [
    ['no chain', () => Promise.resolve([])],
    ['a leaf without its root', async (csr: string) => (await sign(csr)).slice(0, 1)],
    ['what is no certificate', () => Promise.resolve(['a', 'b'])],
    ['a certificate for another key', () => sign(createSigningRequest().csrPem)],
    ['a certificate without a SPIFFE ID', (csr: string) => sign(csr, { names: ['https://example.com'] })],
    ['a certificate with two SPIFFE IDs', (csr: string) => sign(csr, { names: [web, `${web}2`] })],
  ] as const)
    it(`does not take ${what}`, async (t) => {
      answer = respond;
      const store = await start(t);
      assert.equal(store.credentials, undefined);
      assert.equal(failures.length, 1);
    });

  it('keeps the key of session tickets while the root is the same, and changes it with the root', async (t) => {
    const store = await start(t);
    const ticketKeys = () => store.credentials!.serverOptions.ticketKeys!.toString('hex');
    const first = ticketKeys();
    const { trust } = store.credentials!;
    let outcome = nextOutcome();
    pass(t, 13 * hourMs);
    await outcome;
    assert.equal(ticketKeys(), first);
    assert.equal(store.credentials!.trust, trust);
    answer = (csr) => sign(csr, { by: other });
    outcome = nextOutcome();
    pass(t, 13 * hourMs);
    await outcome;
    assert.notEqual(ticketKeys(), first);
    assert.notEqual(store.credentials!.trust, trust);
  });

  it('has the key of session tickets in common with who has the same secret and the same root, and the key of no certificate', async (t) => {
    const secret = Buffer.alloc(32, 7);
    const first = (await start(t, 0.5, secret)).credentials!.serverOptions;
    t.mock.timers.reset();
    const second = (await start(t, 0.5, secret)).credentials!.serverOptions;
    assert.deepEqual(second.ticketKeys, first.ticketKeys);
    assert.notEqual(second.key, first.key);
    t.mock.timers.reset();
    answer = (csr) => sign(csr, { by: other });
    assert.notDeepEqual((await start(t, 0.5, secret)).credentials!.serverOptions.ticketKeys, first.ticketKeys);
    t.mock.timers.reset();
    answer = (csr) => sign(csr);
    assert.notDeepEqual((await start(t)).credentials!.serverOptions.ticketKeys, first.ticketKeys, 'no secret given');
  });

  it('asks no more once it is closed, and takes no late answer', async (t) => {
    const store = await start(t);
    const before = store.credentials;
    let late: (() => void) | undefined;
    answer = (csr) => new Promise((resolve) => (late = () => resolve(sign(csr))));
    pass(t, 13 * hourMs);
    store.close();
    late!();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(store.credentials, before);
    assert.equal(pass(t, 100 * hourMs), false);
  });
});
