// Holds ejection to Envoy's rules, and to a plain model of them under any order of events.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { OutlierConfig } from '../config/cluster-limits.js';
import { OutlierDetector, type AttemptResult } from './outlier-detector.js';

const base: OutlierConfig = {
  consecutive5xx: 3,
  consecutiveGatewayFailure: 0,
  consecutiveLocalOriginFailure: 0,
  splitExternalLocalOrigin: false,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 100,
  alwaysEjectOne: false,
  panicThresholdPercent: 0,
};

interface Host {
  readonly name: number;
}

function detector(config: Partial<OutlierConfig> = {}, count = 4) {
  const hosts: Host[] = Array.from({ length: count }, (_, name) => ({ name }));
  let nowMs = 0;
  let changes = 0;
  const outliers = new OutlierDetector<Host>(
    { ...base, ...config },
    () => nowMs,
    () => changes++,
  );
  outliers.setEndpoints(hosts);
  return {
    outliers,
    hosts,
    fail: (host: Host, times: number, result: AttemptResult = 500) => {
      for (let i = 0; i < times; i++) outliers.record(host, result);
    },
    pass: (ms: number) => {
      nowMs += ms;
      outliers.tick();
    },
    changes: () => changes,
    ejected: () => hosts.filter((host) => outliers.isEjected(host)).map(({ name }) => name),
  };
}

describe('an endpoint', () => {
  it('is ejected by as many failures in a row as the policy says, not by one less', () => {
    const { outliers, hosts, fail, ejected } = detector();
    fail(hosts[0]!, 2);
    assert.deepEqual(ejected(), []);
    outliers.record(hosts[0]!, 200);
    fail(hosts[0]!, 2);
    assert.deepEqual(ejected(), []);
    fail(hosts[0]!, 1);
    assert.deepEqual(ejected(), [0]);
  });

  it('that does not answer counts as one that fails, unless that is counted apart', () => {
    const together = detector();
    together.fail(together.hosts[0]!, 3, 'failed');
    assert.deepEqual(together.ejected(), [0]);
    const apart = detector({ splitExternalLocalOrigin: true, consecutiveLocalOriginFailure: 2 });
    apart.fail(apart.hosts[0]!, 1, 'failed');
    apart.fail(apart.hosts[0]!, 2, 500);
    assert.deepEqual(apart.ejected(), [], 'an answer, be it an error, is none of our own failures');
    apart.fail(apart.hosts[1]!, 2, 'failed');
    assert.deepEqual(apart.ejected(), [1]);
  });

  it('is ejected by 502, 503 and 504 only where those are counted', () => {
    const { hosts, fail, ejected } = detector({ consecutive5xx: 0, consecutiveGatewayFailure: 2 });
    fail(hosts[0]!, 5, 500);
    fail(hosts[1]!, 1, 502);
    fail(hosts[1]!, 1, 504);
    assert.deepEqual(ejected(), [1]);
  });

  it('comes back after its time, and stays out longer each time', () => {
    const { hosts, fail, pass, ejected } = detector();
    for (const times of [1, 2, 3]) {
      fail(hosts[0]!, 3);
      pass(30_000 * times - 1);
      assert.deepEqual(ejected(), [0]);
      pass(1);
      assert.deepEqual(ejected(), []);
    }
  });

  it('is forgiven with every interval in which it stays', () => {
    const { hosts, fail, pass, ejected } = detector();
    fail(hosts[0]!, 3);
    pass(30_000);
    pass(10_000);
    fail(hosts[0]!, 3);
    pass(30_000);
    assert.deepEqual(ejected(), []);
  });

  it('is never out longer than the policy allows', () => {
    const { hosts, fail, pass, ejected } = detector({ maxEjectionMs: 40_000 });
    for (let i = 0; i < 4; i++) {
      fail(hosts[0]!, 3);
      pass(40_000);
      assert.deepEqual(ejected(), []);
    }
  });

  it('that is new or has left is not counted', () => {
    const { outliers, hosts, fail, ejected } = detector();
    fail(hosts[0]!, 3);
    outliers.setEndpoints(hosts.slice(1));
    assert.equal(outliers.ejected, 0);
    outliers.setEndpoints(hosts);
    assert.deepEqual(ejected(), []);
  });
});

describe('the share of endpoints that may be ejected', () => {
  it('is looked at before an ejection, as in Envoy: a tenth of four is one', () => {
    const { hosts, fail, ejected } = detector({ maxEjectionPercent: 10 });
    for (const host of hosts) fail(host, 3);
    assert.deepEqual(ejected(), [0]);
  });

  it('of 0 ejects nobody, or one where one always may be', () => {
    const none = detector({ maxEjectionPercent: 0 });
    none.fail(none.hosts[0]!, 3);
    assert.deepEqual(none.ejected(), []);
    const one = detector({ maxEjectionPercent: 0, alwaysEjectOne: true });
    for (const host of one.hosts) one.fail(host, 3);
    assert.deepEqual(one.ejected(), [0]);
  });

  it('of 100 ejects all', () => {
    const { hosts, fail, ejected } = detector();
    for (const host of hosts) fail(host, 3);
    assert.deepEqual(ejected(), [0, 1, 2, 3]);
  });
});

it('whatever the order of answers and time, it ejects whom a plain model ejects', () => {
  const event = fc.oneof(
    fc.record({ host: fc.nat(3), result: fc.constantFrom<AttemptResult>(200, 404, 500, 503, 'failed') }),
    fc.record({ passMs: fc.integer({ min: 1, max: 60_000 }) }),
  );
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 80 }),
      fc.constantFrom(10, 50, 100),
      fc.constantFrom(0, 2),
      (events, maxEjectionPercent, consecutiveGatewayFailure) => {
        const real = detector({ maxEjectionPercent, consecutiveGatewayFailure });
        const model = real.hosts.map(() => ({ errors: 0, gateway: 0, times: 0, until: -1 }));
        let nowMs = 0;
        for (const one of events) {
          if ('passMs' in one) {
            nowMs += one.passMs;
            for (const host of model) {
              if (host.until < 0) host.times = Math.max(0, host.times - 1);
              else if (nowMs >= host.until) host.until = -1;
            }
            real.pass(one.passMs);
          } else {
            real.fail(real.hosts[one.host]!, 1, one.result);
            const host = model[one.host]!;
            if (host.until >= 0) continue;
            const status = one.result === 'failed' ? 503 : one.result;
            host.errors = status >= 500 ? host.errors + 1 : 0;
            host.gateway = status >= 502 ? host.gateway + 1 : 0;
            if (host.errors >= 3 || (consecutiveGatewayFailure > 0 && host.gateway >= consecutiveGatewayFailure)) {
              host.errors = 0;
              host.gateway = 0;
              const out = model.filter(({ until }) => until >= 0).length;
              if ((out * 100) / model.length < maxEjectionPercent)
                host.until = nowMs + Math.min(30_000 * ++host.times, 300_000);
            }
          }
          assert.deepEqual(
            real.ejected(),
            model.flatMap(({ until }, name) => (until >= 0 ? [name] : [])),
          );
          assert.equal(real.outliers.ejected, real.ejected().length);
        }
      },
    ),
    { numRuns: 300 },
  );
});
