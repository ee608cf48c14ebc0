// A workload in one line of endpoint metadata, as Istio writes it: it labels calls whose peer never answered.
import type { Workload } from '../model/workload.js';

/** The name of the cluster in labels and metadata; there is one. */
export const clusterId = 'local';

/** `name;namespace;canonical name;canonical revision;cluster`. */
export function workloadSummary(workload: Workload): string {
  const { labels } = workload;
  const canonicalName =
    labels['service.istio.io/canonical-name'] ??
    labels['app.kubernetes.io/name'] ??
    labels['app'] ??
    workload.workloadName;
  const revision =
    labels['service.istio.io/canonical-revision'] ??
    labels['app.kubernetes.io/version'] ??
    labels['version'] ??
    'latest';
  return [workload.workloadName, workload.namespace, canonicalName, revision, clusterId].join(';');
}
