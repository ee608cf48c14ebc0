// Which mTLS mode holds for a port of a workload.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { objectOf } from '../../test/harness/objects.js';
import { snapshotOf, workloadOf } from '../../test/harness/snapshots.js';
import type { PeerAuthentication } from '../api/kinds.js';
import { createSnapshot } from '../model/snapshot.js';
import { effectiveMode } from './peer-authentication.js';

const mesh = await snapshotOf(
  'meshConfig: {rootNamespace: root}\nservices:\n  api: {namespace: shop, ports: [{port: 80}, {port: 81}], command: x, labels: {team: a}}\n  inner: {namespace: root, port: 80, command: x}\n',
);
const policy = (name: string, namespace: string, spec: string): PeerAuthentication =>
  objectOf('PeerAuthentication', spec, { name, namespace });

/** `MODE by NAME path` */
function modeOf(port: number, ...objects: PeerAuthentication[]): string {
  return modeIn('shop/api-0', port, ...objects);
}

function modeIn(workload: string, port: number, ...objects: PeerAuthentication[]): string {
  const snapshot = createSnapshot({
    meshConfig: mesh.meshConfig,
    services: mesh.services.all,
    workloads: [...mesh.workloads.values()],
    objects,
  });
  const { mode, source, path } = effectiveMode(snapshot, workloadOf(snapshot, workload), port);
  return source === undefined ? mode : `${mode} by ${source.name} ${path}`;
}

const root = policy('root', 'root', 'mtls: {mode: STRICT}');
const namespace = policy('namespace', 'shop', 'mtls: {mode: DISABLE}');
const workload = policy(
  'workload',
  'shop',
  'selector: {matchLabels: {team: a}}\nmtls: {mode: PERMISSIVE}\nportLevelMtls: {81: {mode: STRICT}}',
);

describe('the mode of a port', () => {
  it('is PERMISSIVE where nothing says more', () => {
    assert.equal(modeOf(80), 'PERMISSIVE');
    assert.equal(
      modeOf(80, policy('empty', 'root', '{}'), policy('unset', 'shop', 'mtls: {mode: UNSET}')),
      'PERMISSIVE',
    );
  });

  it("is the mesh's, then the namespace's, then the workload's, then the port's, in whatever order they were written", () => {
    for (const turn of [<T>(list: T[]) => list, <T>(list: T[]) => [...list].reverse()]) {
      assert.equal(modeOf(80, root), 'STRICT by root spec.mtls');
      assert.equal(modeOf(80, ...turn([root, namespace])), 'DISABLE by namespace spec.mtls');
      assert.equal(modeOf(80, ...turn([root, namespace, workload])), 'PERMISSIVE by workload spec.mtls');
      assert.equal(modeOf(81, ...turn([root, namespace, workload])), 'STRICT by workload spec.portLevelMtls["81"]');
    }
  });

  it('is inherited where an object leaves it unset', () => {
    const portOnly = policy(
      'ports',
      'shop',
      'selector: {matchLabels: {team: a}}\nportLevelMtls: {81: {mode: DISABLE}}',
    );
    assert.equal(modeOf(80, root, portOnly), 'STRICT by root spec.mtls');
    assert.equal(modeOf(81, root, portOnly), 'DISABLE by ports spec.portLevelMtls["81"]');
    const unsetPort = policy(
      'ports',
      'shop',
      'selector: {matchLabels: {team: a}}\nmtls: {mode: STRICT}\nportLevelMtls: {81: {mode: UNSET}}',
    );
    assert.equal(modeOf(81, unsetPort), 'STRICT by ports spec.mtls');
    assert.equal(modeOf(80, root, policy('unset', 'shop', 'mtls: {mode: UNSET}')), 'STRICT by root spec.mtls');
  });

  it('is that of the oldest on each level', () => {
    assert.equal(modeOf(80, root, policy('younger', 'root', 'mtls: {mode: DISABLE}')), 'STRICT by root spec.mtls');
    assert.equal(
      modeOf(80, namespace, policy('younger', 'shop', 'mtls: {mode: STRICT}')),
      'DISABLE by namespace spec.mtls',
    );
    assert.equal(
      modeOf(80, workload, policy('younger', 'shop', 'selector: {matchLabels: {app: api}}\nmtls: {mode: STRICT}')),
      'PERMISSIVE by workload spec.mtls',
    );
  });

  it('is not that of other namespaces and other workloads', () => {
    assert.equal(modeOf(80, policy('other', 'default', 'mtls: {mode: STRICT}')), 'PERMISSIVE');
    assert.equal(
      modeOf(80, policy('other', 'shop', 'selector: {matchLabels: {team: b}}\nmtls: {mode: STRICT}')),
      'PERMISSIVE',
    );
    assert.equal(
      modeOf(80, policy('other', 'shop', 'selector: {matchLabels: {team: a, app: b}}\nmtls: {mode: STRICT}')),
      'PERMISSIVE',
    );
  });

  it('with an empty selector is that of the namespace', () => {
    assert.equal(
      modeOf(80, policy('empty', 'shop', 'selector: {matchLabels: {}}\nmtls: {mode: STRICT}')),
      'STRICT by empty spec.mtls',
    );
  });

  it('does not come from a selector in the root namespace, not even for the workloads there', () => {
    const selected = policy('selected', 'root', 'selector: {matchLabels: {app: inner}}\nmtls: {mode: STRICT}');
    assert.equal(modeIn('root/inner-0', 80, selected), 'PERMISSIVE');
    assert.equal(modeIn('root/inner-0', 80, root, selected), 'STRICT by root spec.mtls');
  });
});
