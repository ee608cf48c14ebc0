// A workload in one line of endpoint metadata, as Istio writes it: it labels calls whose peer never answered.
import type { EntryEndpoint } from '../model/service-entries.js';
import type { Workload } from '../model/workload.js';

/** The name of the cluster in labels and metadata; there is one. */
export const clusterId = 'local';

/** `name;namespace;canonical name;canonical revision;cluster`. */
export function workloadSummary({ labels, workloadName, namespace }: Workload): string {
  const revision = canonicalRevision(labels) ?? 'latest';
  return [workloadName, namespace, canonicalName(labels) ?? workloadName, revision, clusterId].join(';');
}

/** The same of what is no workload of the mesh: as in Istio it is called like the object that names it. */
export function entrySummary({ object, labels }: EntryEndpoint): string {
  const [name, revision] = [canonicalName(labels) ?? '', canonicalRevision(labels) ?? ''];
  return [object.name, object.namespace, name, revision, clusterId].join(';');
}

type Labels = Readonly<Record<string, string>>;

function canonicalName(labels: Labels): string | undefined {
  return labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'];
}

function canonicalRevision(labels: Labels): string | undefined {
  return labels['service.istio.io/canonical-revision'] ?? labels['app.kubernetes.io/version'] ?? labels['version'];
}
