// DestinationRule (networking.istio.io): what holds for the connections to a host, and which subsets it has.
import { connectionPool, outlierDetection, retryBudget } from './connection-policy.js';
import { describe, exportTo, labels, nonEmptyText, portNumber, record, refused, unsupported, z } from './schema.js';

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

/** The blocks that a single port can have of its own. */
const portBlocks = {
  loadBalancer: describe(loadBalancer.optional(), 'How an endpoint is chosen.'),
  connectionPool: describe(connectionPool.optional(), 'Limits of connections and requests.'),
  outlierDetection: describe(
    outlierDetection.optional(),
    'Ejects endpoints that fail; only where this block is present, be it empty.',
  ),
  tls: refused(
    'TLS towards the host; between workloads of the mesh it is automatic.',
    'leave it out: mTLS is automatic',
  ),
};

const portLevelSetting = record({
  port: describe(record({ number: describe(portNumber, 'Port of the service.') }), 'The port.'),
  ...portBlocks,
});

const trafficPolicy = record({
  ...portBlocks,
  portLevelSettings: describe(
    z.array(portLevelSetting).optional(),
    'Policies for single ports. They take the place of all four blocks above: a block that is left out has its default.',
  ),
  retryBudget: describe(
    retryBudget.optional(),
    'Bounds retries by a share of requests. In force without it too, with its defaults, unless maxRetries is set.',
  ),
  tunnel: refused('Tunnels TCP over HTTP CONNECT.'),
  proxyProtocol: refused('PROXY protocol towards the host.'),
}).superRefine((value, context) => {
  const seen = new Set<number>();
  for (const [i, { port }] of (value.portLevelSettings ?? []).entries()) {
    if (seen.has(port.number))
      context.addIssue({
        code: 'custom',
        path: ['portLevelSettings', i, 'port', 'number'],
        message: `names port ${port.number} twice`,
      });
    seen.add(port.number);
  }
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
