// Holds the steps that are taken when memory runs short to their thresholds.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryPressure, type Relief } from './memory-pressure.js';

describe('memory pressure', () => {
  it('closes connections from 95 %, refuses requests from 98 %, and takes steps back only 3 % below', () => {
    let share = 0;
    const pressure = new MemoryPressure(() => share);
    const steps: [number, Relief][] = [
      [0.94, 'nothing'],
      [0.95, 'keep-alive'],
      [0.98, 'new requests'],
      [0.96, 'new requests'],
      [0.949, 'nothing'],
      [0.97, 'keep-alive'],
      [0.93, 'keep-alive'],
      [0.91, 'nothing'],
      [1, 'new requests'],
      [0.1, 'nothing'],
    ];
    for (const [now, relief] of steps) {
      share = now;
      pressure.look();
      const seen = pressure.refusesRequests ? 'new requests' : pressure.closesConnections ? 'keep-alive' : 'nothing';
      assert.equal(seen, relief, `at ${now}`);
    }
  });

  it('is a share of what the process may use', () => {
    const share = new MemoryPressure().look();
    assert.ok(share > 0 && share < 1, String(share));
  });

  it('tells watchers as long as they watch', async () => {
    const told: string[] = [];
    const pressure = new MemoryPressure(() => 0.99);
    const first = await new Promise<Relief>((resolve) => {
      const stop = pressure.watch((share, relief) => {
        told.push(`${share} ${relief}`);
        stop();
        resolve(relief);
      });
    });
    assert.equal(first, 'new requests');
    assert.equal(pressure.refusesRequests, false, 'nobody watches any more');
    pressure.look();
    assert.deepEqual(told, ['0.99 new requests']);
  });
});
