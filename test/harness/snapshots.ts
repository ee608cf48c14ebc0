// Snapshots for unit tests, from the text of a mesh.yaml and of objects; every port is given out in order, so that what is
// compiled from them is always the same.
import assert from 'node:assert/strict';
import type { MeshObject } from '../../src/api/object.js';
import { validateFile } from '../../src/api/validate.js';
import { assignPorts, createPlan } from '../../src/local/plan.js';
import { createSnapshot, type Snapshot } from '../../src/model/snapshot.js';
import type { Workload } from '../../src/model/workload.js';
import { meshFileOf } from './objects.js';

/** First of the ports that stand for free ones. */
const firstPort = 20_000;

/** Every workload is ready; `objects` is one file of documents, the oldest first. */
export async function snapshotOf(mesh: string, objects = ''): Promise<Snapshot> {
  const file = meshFileOf(mesh);
  const { services, instances } = createPlan(file);
  let port = firstPort;
  const workloads: Workload[] = [];
  for (const instance of instances) {
    const workload = await assignPorts(instance.key, instance, services, () => Promise.resolve(port++));
    workloads.push({ ...workload, ready: true });
  }
  return createSnapshot({ meshConfig: file.meshConfig, services, workloads, objects: objectsOf(objects) });
}

/** The objects of one file; all must be valid. */
export function objectsOf(text: string): MeshObject[] {
  return validateFile('objects.yaml', text).map((result) => {
    assert.ok('object' in result, `refused: ${JSON.stringify(result.diagnostics, null, 1)}`);
    return result.object;
  });
}

/** The workload of that name; `namespace/name`, or the name alone in namespace default. */
export function workloadOf(snapshot: Snapshot, name: string): Workload {
  const workload = snapshot.workloads.get(name.includes('/') ? name : `default/${name}`);
  assert.ok(workload !== undefined, `there is no workload ${name}, only ${[...snapshot.workloads.keys()].join(', ')}`);
  return workload;
}
