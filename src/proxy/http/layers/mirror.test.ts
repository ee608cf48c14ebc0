// Holds copies of requests to their promise: whole, elsewhere, and felt by nobody.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { closeProxies, get, ok, proxy, type ProxyOptions } from '../../../../test/harness/memory-proxy.js';
import { settle } from '../../../../test/harness/memory-socket.js';

afterEach(closeProxies);

const mirrored = (options: ProxyOptions = {}, mirror: JsonObject = {}) =>
  proxy({
    clusters: { c: true, copy: true },
    routes: [
      {
        match: { prefix: '/' },
        route: {
          cluster: 'c',
          timeout: '0s',
          requestMirrorPolicies: [{ cluster: 'copy', disableShadowHostSuffixAppend: true, ...mirror }],
        },
      },
    ],
    ...options,
  });

describe('a copy', () => {
  it('is the request with its body and trailers, and what it is answered is dropped', async () => {
    const through = mirrored();
    const text =
      'POST /x HTTP/1.1\r\nHost: shop\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n';
    await through.send(text);
    const copy = await through.connect();
    const real = await through.connect();
    assert.equal(copy.sent, real.sent);
    assert.match(copy.sent, /^POST \/x HTTP\/1\.1\r\nhost: shop\r\n[^]*x-a: b[^]*3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n$/);
    copy.receive('HTTP/1.1 500 x\r\ncontent-length: 4\r\n\r\ncopy');
    real.receive(ok('real'));
    await settle();
    assert.match(through.caller.sent, /^HTTP\/1\.1 200 OK[^]*real$/);
    assert.deepEqual(through.requests(), [['200', 1]]);
  });

  it('is made of the share of requests that the policy says', async () => {
    for (const [random, copies] of [
      [0.24, 1],
      [0.26, 0],
    ] as const) {
      const through = mirrored({ random: () => random }, { runtimeFraction: { defaultValue: { numerator: 25 } } });
      await through.send(get());
      assert.equal(through.opening(), 1 + copies);
    }
  });

  it('that cannot be sent is nobody’s trouble', async () => {
    const through = mirrored({ clusters: { c: true, copy: false } });
    await through.send(get());
    (await through.connect()).receive(ok('real'));
    await settle();
    assert.match(through.caller.sent, /real$/);
    const refused = mirrored();
    await refused.send(get());
    await refused.refuse();
    (await refused.connect()).receive(ok('real'));
    await settle();
    assert.match(refused.caller.sent, /real$/);
    const { usage } = refused.clusters.get('copy')!;
    assert.equal(usage.requests, 0);
  });

  it('goes on when the request it copies has been answered', async () => {
    const through = mirrored();
    await through.send(get());
    const copy = await through.connect();
    (await through.connect()).receive(ok('real'));
    await settle();
    assert.equal(copy.destroyed, false);
    copy.receive(ok('late'));
    await settle();
    assert.equal(copy.destroyed, false, 'the connection is kept for the next copy');
  });

  it('of a request that is not completed is given up', async () => {
    const through = mirrored();
    await through.send('POST / HTTP/1.1\r\nHost: shop\r\ncontent-length: 10\r\n\r\nhalf');
    const copy = await through.connect();
    await through.connect();
    through.caller.destroy();
    await settle();
    assert.equal(copy.destroyed, true);
  });

  it('has its host marked where the policy asks for it', async () => {
    const through = mirrored({}, { disableShadowHostSuffixAppend: false });
    await through.send(get());
    assert.match((await through.connect()).sent, /\r\nhost: shop-shadow\r\n/);
  });
});
