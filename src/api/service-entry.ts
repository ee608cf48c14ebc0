// ServiceEntry (networking.istio.io): a service that is not in mesh.yaml, and where it answers.
import { isIP } from 'node:net';
import { istioProtocols } from './port-protocol.js';
import { describe, exportTo, hostName, labels, portNumber, record, text, unsupported, z } from './schema.js';
import { workloadEntrySpec } from './workload-entry.js';

const protocol = z
  .string()
  .refine(
    (value) => value === '' || value.toLowerCase() === 'udp' || Object.hasOwn(istioProtocols, value.toLowerCase()),
    `must be one of ${Object.keys(istioProtocols).join(', ').toUpperCase()}`,
  );

const port = record({
  number: describe(portNumber, 'Port under which the service is called.'),
  name: describe(
    z.string().regex(/^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/, 'must be a port name'),
    'Name, by which endpoints give their ports.',
  ),
  protocol: describe(
    protocol.optional(),
    'HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, REDIS or MYSQL; ports of UDP are left out. Absent: TCP for ports 25, 53, 3306 and 27017, for others the first bytes of each connection tell.',
  ),
  targetPort: describe(portNumber.optional(), 'Port of endpoints that name none of their own; default: number.'),
});

/** IP address or CIDR range. */
const addressRange = z.string().refine((value) => {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(value);
  const version = match === null ? 0 : isIP(match[1]!);
  return version !== 0 && (match![2] === undefined || Number(match![2]) <= (version === 4 ? 32 : 128));
}, 'must be an IP address, or a range of them such as 10.0.0.0/8');

const resolutions = ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'] as const;
const mostHosts = 256;
const mostEndpoints = 4096;

export const serviceEntrySpec = record({
  hosts: describe(
    z.array(hostName).min(1, 'must name a host').max(mostHosts, `must be at most ${mostHosts}`),
    'Names under which it is called, as they are: short ones are not completed; `*.` and a name covers all names below it.',
  ),
  addresses: describe(
    z.array(addressRange).optional(),
    'No effect: without redirection a service is called by its host, not by an address.',
  ),
  ports: describe(z.array(port).min(1, 'must name a port').optional(), 'Ports of the service.'),
  location: describe(
    z.enum(['MESH_EXTERNAL', 'MESH_INTERNAL']).optional(),
    'MESH_EXTERNAL (default): called in plaintext, as the application sends it. MESH_INTERNAL: with mTLS where an endpoint has a service account.',
  ),
  resolution: describe(
    z.enum(resolutions).optional(),
    'STATIC: the endpoints are those that the object names or selects. NONE (the default), DNS, DNS_ROUND_ROBIN and DYNAMIC_DNS are refused: not yet.',
  ),
  endpoints: describe(
    z.array(workloadEntrySpec).max(mostEndpoints, `must be at most ${mostEndpoints}`).optional(),
    'Where it answers.',
  ),
  workloadSelector: describe(
    record({ labels: describe(labels.optional(), 'Labels that they must have.') }).optional(),
    'Selects WorkloadEntries and workloads of mesh.yaml in the namespace of the object, instead of endpoints.',
  ),
  subjectAltNames: describe(
    z.array(text).optional(),
    'SPIFFE IDs that endpoints may have besides those of their service accounts.',
  ),
  exportTo: describe(exportTo.optional(), 'Namespaces that see the service: `*` (default), `.`, `~` or names.'),
}).superRefine((value, context) => {
  const problem = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
  const resolution = value.resolution ?? 'NONE';
  if (resolution !== 'STATIC') {
    const message = `${resolution}${value.resolution === undefined ? ', the default,' : ''} is not supported yet; use STATIC with endpoints that are IP addresses`;
    context.addIssue({ code: 'custom', path: ['resolution'], message, params: { code: unsupported } });
    return;
  }
  if (value.endpoints !== undefined && value.workloadSelector !== undefined)
    problem(['workloadSelector'], 'cannot stand beside endpoints');
  if ((value.endpoints ?? []).length === 0 && value.workloadSelector === undefined)
    problem([], 'needs endpoints or a workloadSelector, as resolution is STATIC');
  if (value.ports === undefined) problem(['ports'], 'must name a port');
  checkHosts(value.hosts, problem);
  const names = checkPorts(value.ports ?? [], problem);
  for (const [i, { ports = {} }] of (value.endpoints ?? []).entries())
    for (const name of Object.keys(ports))
      if (!names.has(name))
        problem(['endpoints', i, 'ports', name], `is no port of the object, which has ${[...names].join(', ')}`);
});

type Problem = (path: (string | number)[], message: string) => void;

function checkHosts(hosts: readonly string[], problem: Problem): void {
  const seen = new Set<string>();
  for (const [i, host] of hosts.entries()) {
    if (host === '*') problem(['hosts', i], 'must be a host name, or `*.` followed by one');
    if (seen.has(host.toLowerCase())) problem(['hosts', i], `names ${host} twice`);
    seen.add(host.toLowerCase());
  }
}

function checkPorts(ports: readonly { readonly number: number; readonly name: string }[], problem: Problem) {
  const [numbers, names] = [new Set<number>(), new Set<string>()];
  for (const [i, { number, name }] of ports.entries()) {
    if (numbers.has(number)) problem(['ports', i, 'number'], `names port ${number} twice`);
    if (names.has(name)) problem(['ports', i, 'name'], `names ${name} twice`);
    numbers.add(number);
    names.add(name);
  }
  return names;
}

export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>;
