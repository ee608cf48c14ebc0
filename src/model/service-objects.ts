// Service objects beside mesh.yaml: their labels are added to the workloads of the service; what mesh.yaml says stays.
import type { ServiceObject } from '../api/kinds.js';
import type { Workload } from './workload.js';

/** Results by what they were made of, so that an unchanged workload stays the same value. */
const labelled = new WeakMap<Workload, { readonly object: ServiceObject; readonly workload: Workload }>();

/** The workloads with the labels that Service objects add; the same values where nothing is added. */
export function labelWorkloads(workloads: readonly Workload[], objects: readonly ServiceObject[]): readonly Workload[] {
  if (objects.length === 0) return workloads;
  const byHost = new Map(objects.map((object) => [`${object.name}.${object.namespace}.svc.cluster.local`, object]));
  return workloads.map((workload) => {
    const object = byHost.get(workload.serviceHost);
    return object === undefined ? workload : addLabels(workload, object);
  });
}

function addLabels(workload: Workload, object: ServiceObject): Workload {
  const known = labelled.get(workload);
  if (known?.object === object) return known.workload;
  const result = { ...workload, labels: { ...object.labels, ...workload.labels } };
  labelled.set(workload, { object, workload: result });
  return result;
}
