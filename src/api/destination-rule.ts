// DestinationRule (networking.istio.io): what holds for the connections to a host, and which subsets it has.
import { describe, exportTo, labels, nonEmptyText, record, refused, unsupported, z } from './schema.js';

/** Names of Istio's simple load balancers; the last two are older spellings that Istio still takes. */
const balancers = ['LEAST_REQUEST', 'ROUND_ROBIN', 'RANDOM', 'UNSPECIFIED', 'LEAST_CONN'] as const;

const loadBalancer = record({
  simple: describe(
    z
      .enum([...balancers, 'PASSTHROUGH'])
      .refine((name) => name !== 'PASSTHROUGH', {
        message: 'PASSTHROUGH is not supported yet',
        params: { code: unsupported },
      })
      .optional(),
    'LEAST_REQUEST (default): the less busy of two random endpoints; ROUND_ROBIN; RANDOM.',
  ),
  consistentHash: refused('Same caller, same endpoint.'),
  localityLbSetting: refused('Preference for near endpoints.'),
  warmupDurationSecs: refused('Slow start of new endpoints.'),
  warmup: refused('Slow start of new endpoints.'),
});

const trafficPolicy = record({
  loadBalancer: describe(loadBalancer.optional(), 'How an endpoint is chosen.'),
  connectionPool: refused('Limits of connections and requests.'),
  outlierDetection: refused('Ejects endpoints that fail.'),
  tls: refused(
    'TLS towards the host; between workloads of the mesh it is automatic.',
    'leave it out: mTLS is automatic',
  ),
  portLevelSettings: refused('Policies for single ports.'),
  tunnel: refused('Tunnels TCP over HTTP CONNECT.'),
  proxyProtocol: refused('PROXY protocol towards the host.'),
  retryBudget: refused('Bounds retries by a share of requests.'),
});

/** The name becomes part of cluster names and of server names in the handshake. */
const subsetName = z
  .string()
  .regex(
    /^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$/,
    'must be a name of letters, digits, dashes, dots and underscores',
  );

const subset = record({
  name: describe(subsetName, 'Name that routes refer to.'),
  labels: describe(labels.optional(), 'Labels of the workloads that belong to it; none: all of the host.'),
  trafficPolicy: describe(trafficPolicy.optional(), 'Overrides that of the host, block by block.'),
});

export const destinationRuleSpec = record({
  host: describe(
    nonEmptyText,
    'Host that the rule is for; a short name is completed with the namespace of the object.',
  ),
  trafficPolicy: describe(trafficPolicy.optional(), 'For all subsets.'),
  subsets: describe(z.array(subset).optional(), 'Named parts of the host.'),
  exportTo: describe(exportTo.optional(), 'Namespaces that see the object: `*` (default), `.`, `~` or names.'),
  workloadSelector: refused('Workloads that the rule is for.'),
}).superRefine((value, context) => {
  const seen = new Set<string>();
  for (const [i, one] of (value.subsets ?? []).entries()) {
    if (seen.has(one.name))
      context.addIssue({ code: 'custom', path: ['subsets', i, 'name'], message: `names ${one.name} twice` });
    seen.add(one.name);
  }
});

export type DestinationRuleSpec = z.infer<typeof destinationRuleSpec>;
export type TrafficPolicy = z.infer<typeof trafficPolicy>;
export type SubsetSpec = z.infer<typeof subset>;
