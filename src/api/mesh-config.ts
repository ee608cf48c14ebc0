// The part of Istio's MeshConfig that this version takes; it stands in mesh.yaml under `meshConfig`.
import { whyNotAFormat } from './command-operators.js';
import { retryPolicy } from './retry-policy.js';
import { defaultTrafficPolicy, tcpKeepalive } from './connection-policy.js';
import { describe, duration, record, refused, z } from './schema.js';
import { tracingSchema } from './tracing.js';
import { parseDurationMs } from '../util/duration.js';

const namespaceName = z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a namespace');

export const meshConfigSchema = record({
  trustDomain: describe(
    z
      .string()
      .max(255)
      .regex(
        /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/,
        'must be a trust domain: lower-case letters, digits, dots, dashes, underscores',
      )
      .default('cluster.local'),
    'First part of every SPIFFE ID; identities of other trust domains are refused. Default cluster.local.',
  ),
  rootNamespace: describe(
    namespaceName.default('istio-system'),
    'Namespace whose objects hold for the whole mesh. Default istio-system.',
  ),
  accessLogFile: describe(
    z.string().default(''),
    'Where access logs go: a path (relative to the folder of mesh.yaml), /dev/stdout, or empty for none (default).',
  ),
  accessLogEncoding: describe(z.enum(['TEXT', 'JSON']).default('TEXT'), 'TEXT (default) or JSON.'),
  accessLogFormat: describe(
    z.string().default(''),
    "Envoy's command operators for one line; with JSON an object of them, written as JSON. Empty: Istio's default format.",
  ),
  pathNormalization: describe(
    record({
      normalization: describe(
        z.enum(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']).default('DEFAULT'),
        'NONE: paths stay as they come; BASE (default): dots, backslashes and escapes of unreserved characters are resolved (RFC 3986); MERGE_SLASHES: also `//` becomes `/`; DECODE_AND_MERGE_SLASHES: also `%2F` and `%5C` become `/`.',
      ),
    }).default({ normalization: 'DEFAULT' }),
    'Which form paths get before routes, policies and applications see them.',
  ),
  enableTracing: describe(z.boolean().default(true), 'Whether `defaultConfig.tracing` is in force. Default true.'),
  defaultConfig: describe(
    record({
      tracing: describe(
        tracingSchema.optional(),
        'Tracing of requests; without it trace headers are passed on as they come and nothing is recorded.',
      ),
      holdApplicationUntilProxyStarts: refused(
        'Applications always start after their proxy.',
        'leave it out: it is always so',
      ),
    }).optional(),
    "Settings of the proxies (Istio's ProxyConfig).",
  ),
  outboundTrafficPolicy: refused('What happens to requests for hosts outside the mesh.'),
  enableAutoMtls: refused('mTLS is always automatic.', 'leave it out: it is always on'),
  protocolDetectionTimeout: refused(
    'How long to wait for the first bytes of a connection.',
    'leave it out: a server may speak after 100 ms, and a client that speaks later is still read as what it says',
  ),
  defaultHttpRetryPolicy: describe(
    retryPolicy.optional(),
    "Retries of all rules that have none of their own; default: Istio's, twice where the first try cannot have had an effect.",
  ),
  extensionProviders: refused('Providers of tracing, logs and authorisation.'),
  defaultProviders: refused('Providers that are used without naming them.'),
  trustDomainAliases: refused('Further trust domains.'),
  discoverySelectors: refused('Namespaces that the mesh sees.'),
  localityLbSetting: refused('Preference for near endpoints.'),
  connectTimeout: describe(
    duration.refine((value) => parseDurationMs(value) !== 0, 'must be at least 1ms').default('10s'),
    'How long a connection may take to open where no DestinationRule says otherwise. Default 10s.',
  ),
  tcpKeepalive: describe(
    tcpKeepalive.optional(),
    'Probes silent connections where no DestinationRule says otherwise. Default: none.',
  ),
  h2UpgradePolicy: describe(
    z.enum(['DO_NOT_UPGRADE', 'UPGRADE']).default('DO_NOT_UPGRADE'),
    'UPGRADE: requests to ports declared http are sent in HTTP/2, whatever the caller speaks. Default DO_NOT_UPGRADE.',
  ),
  defaultTrafficPolicy: describe(
    defaultTrafficPolicy.optional(),
    'Blocks for hosts whose DestinationRules do not have them.',
  ),
}).superRefine(({ accessLogFormat, accessLogEncoding }, context) => {
  if (accessLogFormat === '') return;
  const problem = accessLogEncoding === 'JSON' ? whyNotAJsonFormat(accessLogFormat) : whyNotAFormat(accessLogFormat);
  if (problem !== undefined) context.addIssue({ code: 'custom', path: ['accessLogFormat'], message: problem });
});

/** MeshConfig with its defaults filled in. */
export type MeshConfig = z.infer<typeof meshConfigSchema>;

function whyNotAJsonFormat(format: string): string | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(format);
  } catch {
    return 'must be an object in JSON, because accessLogEncoding is JSON';
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
    return 'must be an object in JSON, because accessLogEncoding is JSON';
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== 'string') return `has a field ${name} that is not a text`;
    const problem = whyNotAFormat(value);
    if (problem !== undefined) return `in its field ${name} ${problem}`;
  }
  return undefined;
}
