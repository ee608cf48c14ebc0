// Counts what policies deny, by policy.
import type { Party } from '../../telemetry/istio-labels.js';
import type { SeriesRegistry } from '../../telemetry/series.js';
import type { Denial } from './policies.js';

/** What counting uses of the workload's proxy. */
export interface DenialEnvironment {
  self(): Party;
  readonly registry: SeriesRegistry;
}

/** The label `policy` is that of the log: `ns[namespace]-policy[name]-rule[index]`, or `none` where no ALLOW policy matched. */
export function countDenial(environment: DenialEnvironment, { policy }: Denial, protocol: 'http' | 'tcp'): void {
  const { workload, namespace } = environment.self();
  const labels = ['workload', workload, 'namespace', namespace, 'policy', policy, 'protocol', protocol];
  environment.registry.counter('lateen_authorization_denied_total', ...labels).add(0, 1);
}
