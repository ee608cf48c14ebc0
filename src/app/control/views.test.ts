// How far proxies have come, by what they acknowledge and what they say of themselves.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { snapshotOf, workloadOf } from '../../../test/harness/snapshots.js';
import type { ProxyView } from '../../admin/mesh-view.js';
import { compileWorkload } from '../../compile/compile.js';
import { Collector } from '../../telemetry/collector.js';
import { resourceTypes, versionOfAll, type ResourceType } from '../../xds/resources.js';
import { viewProxyStatus } from './views.js';

const uid = 'default/web-0';
const snapshot = await snapshotOf('services: { web: { port: 80, command: a } }');
const { resources } = compileWorkload(snapshot, workloadOf(snapshot, 'web-0'));
const versionOf = (type: ResourceType) =>
  versionOfAll([...resources[type].values()].map(({ name, version }) => [name, version]));

/** The states of all types where a proxy says this. */
function statesOf(changes: Partial<ProxyView> | undefined): Record<string, string> {
  const applied = resourceTypes.map((type) => ({
    type,
    version: versionOf(type),
    resources: resources[type].size,
    waiting: 0,
  }));
  const proxy = { workload: uid, processes: 1, synced: true, inForce: true, errors: [], applied, ...changes };
  const [row] = viewProxyStatus(
    snapshot.workloads.values(),
    changes === undefined ? [] : [proxy],
    () => resources,
    new Collector(() => 0).certificates,
  );
  assert.deepEqual([row!.name, row!.processes], ['web-0', changes === undefined ? 0 : 1]);
  return Object.fromEntries(row!.types.map(({ type, state }) => [type, state]));
}

describe('the status of a proxy', () => {
  const all = (state: string) => Object.fromEntries(resourceTypes.map((type) => [type, state]));

  it('is synced where it has in force what it should have', () => assert.deepEqual(statesOf({}), all('synced')));

  it('is unknown where it is not connected or has told nothing', () => {
    assert.deepEqual(statesOf(undefined), all('unknown'));
    assert.deepEqual(statesOf({ applied: [] }), all('unknown'));
  });

  it('is that of each type: older, waiting for others, or refused', () => {
    const one = (type: ResourceType, version: string, waiting: number) => ({ type, version, resources: 1, waiting });
    assert.deepEqual(
      statesOf({
        applied: [
          one('cluster', 'old', 0),
          one('routes', versionOf('routes'), 1),
          one('endpoints', versionOf('endpoints'), 0),
          one('listener', 'old', 0),
        ],
        errors: [{ type: 'listener', message: 'm' }],
      }),
      { cluster: 'stale', routes: 'waiting', endpoints: 'synced', listener: 'refused' },
    );
  });
});
