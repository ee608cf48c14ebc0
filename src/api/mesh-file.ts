// mesh.yaml: what runs on this machine. Unknown keys are refused; what a later version brings is refused as "not yet".
import { isIP } from 'node:net';
import { meshConfigSchema } from './mesh-config.js';
import { portProtocols, protocolOf } from './port-protocol.js';
import { describe, duration, labels, nonEmptyText, portNumber, record, refused, z } from './schema.js';
import { parseDurationMs } from '../util/duration.js';

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const serviceName = z
  .string()
  .regex(dnsLabel, 'must be a name of lower-case letters, digits and dashes, at most 63 long');
const versionName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/, 'must be a name of lower-case letters, digits, dots and dashes');
const accountName = z
  .string()
  .regex(/^[A-Za-z0-9]([-A-Za-z0-9._]{0,251}[A-Za-z0-9])?$/, 'must be the name of a service account');
const namespaceName = z.string().regex(dnsLabel, 'must be a namespace');

const protocol = describe(
  z.enum(portProtocols).optional(),
  'http, http2, grpc, grpc-web, tcp, tls, https, or detect: the first bytes of each connection tell. Absent: what the name of the port begins with, where that is one of these; ports 25, 53, 3306 and 27017 tcp; else detect.',
);

const servicePort = record({
  name: describe(
    z.string().regex(dnsLabel, 'must be a port name').optional(),
    'Name of the port; default: the protocol or `port`, and the number.',
  ),
  port: describe(portNumber, 'Port under which the service is called.'),
  protocol,
});

const command = z.union([nonEmptyText, z.array(z.string()).min(1, 'must name a program')], {
  error: 'must be a command line, or a list of a program and its arguments',
});

const address = z.string().superRefine((value, context) => {
  if (parseAddress(value) === undefined)
    context.addIssue({
      code: 'custom',
      message: 'must be an IP address and a port, such as "127.0.0.1:9082" or "[::1]:9082"',
    });
});

const env = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable'),
  z.union([z.string(), z.number(), z.boolean()], { error: 'must be a text, a number or true or false' }),
);

/** What runs: a command that is started here, or the address of something that runs already. */
const runnable = {
  command: describe(
    command.optional(),
    'Started here: a text runs in a shell, a list as program and arguments; working folder is that of mesh.yaml; listens on 127.0.0.1:$PORT.',
  ),
  address: describe(address.optional(), 'Address of an instance that runs already.'),
  replicas: describe(
    z.int('must be a whole number').min(1).max(100).optional(),
    'Instances of the command; default 1.',
  ),
  env: describe(env.optional(), 'Further environment variables of the command.'),
};

const version = record(runnable).superRefine(checkRunnable);

const service = record({
  namespace: describe(namespaceName.optional(), 'Default: default.'),
  port: describe(portNumber.optional(), 'The one port of the service.'),
  ports: describe(
    z.array(servicePort).min(1, 'must name a port').optional(),
    'Several ports; $PORT is the first, $PORT_<NAME> each.',
  ),
  protocol,
  serviceAccount: describe(accountName.optional(), 'Last part of the SPIFFE ID; default: the name of the service.'),
  labels: describe(labels.optional(), 'Labels of its workloads, beside app and version.'),
  versions: describe(
    z.record(versionName, version).optional(),
    'Versions side by side; each is a workload <service>-<version>.',
  ),
  primary: describe(
    versionName.optional(),
    'Version that serves when a canary object targets the service; default the first.',
  ),
  inboundPort: describe(
    z.int().min(0).max(65535).optional(),
    'Port of mTLS of its one instance; 0 (default): a free port.',
  ),
  outboundPort: describe(
    z.int().min(0).max(65535).optional(),
    'Loopback port of the outbound HTTP listener of its one instance; 0 (default): a free port.',
  ),
  upstreams: describe(
    z.record(nonEmptyText, portNumber).optional(),
    'Loopback ports of its one instance for single services: name, name.namespace, either with :port, or host:port of a ServiceEntry.',
  ),
  ...runnable,
  candidate: refused('Version to roll out.'),
  gateway: refused('Runs Gateway objects.'),
  bind: refused('Address of a gateway.'),
  proxy: describe(
    z
      .enum(['lateen', 'envoy'])
      .refine((name) => name !== 'envoy', {
        message: '`proxy: envoy` is not supported yet; leave it out',
        params: { code: 'unsupported' },
      })
      .optional(),
    'The data plane beside its workloads: lateen (default).',
  ),
}).superRefine((value, context) => {
  const problem = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  if (value.port !== undefined && value.ports !== undefined) problem('ports', 'cannot stand beside port');
  if (value.protocol !== undefined && value.port === undefined)
    problem('protocol', 'needs port; with `ports` it stands beside each');
  checkPorts(value.ports ?? [], context);
  if (value.versions !== undefined) {
    for (const key of ['command', 'address', 'replicas', 'env'] as const)
      if (value[key] !== undefined) problem(key, 'cannot stand beside versions; write it under each version');
    if (Object.keys(value.versions).length === 0) problem('versions', 'must name a version');
  } else checkRunnable(value, context);
  if (value.primary !== undefined && !Object.hasOwn(value.versions ?? {}, value.primary))
    problem('primary', `names ${value.primary}, which is not among versions`);
  const instances = value.versions === undefined ? [value] : Object.values(value.versions);
  const single = instances.length === 1 && (instances[0]!.replicas ?? 1) === 1;
  if (!single)
    for (const key of ['inboundPort', 'outboundPort', 'upstreams'] as const)
      if (value[key] !== undefined && value[key] !== 0)
        problem(
          key,
          'is one port and cannot serve several instances; leave it out, or keep one version without replicas',
        );
  const portless = value.port === undefined && value.ports === undefined;
  if (portless && instances.some((instance) => instance.address !== undefined))
    problem('address', 'needs a port under which the service is called');
  if (portless && (value.inboundPort ?? 0) !== 0)
    problem('inboundPort', 'needs a port under which the service is called');
  if ((value.ports?.length ?? 1) > 1 && instances.some((instance) => instance.address !== undefined))
    problem('ports', 'can be only one where an address is given');
});

export const meshFileSchema = record({
  meshConfig: describe(meshConfigSchema.prefault({}), "Istio's MeshConfig."),
  certificates: describe(
    record({
      workloadLifetime: describe(
        duration
          .refine((value) => (parseDurationMs(value) ?? 0) >= 5000, 'must be at least 5s')
          .refine((value) => (parseDurationMs(value) ?? 0) <= 90 * 24 * 3_600_000, 'must be at most 2160h')
          .default('24h'),
        'Life of a workload certificate, from 5s to 2160h; renewed at half of it. Default 24h.',
      ),
    }).prefault({}),
    'Certificates of the built-in authority.',
  ),
  control: describe(
    record({
      httpPort: describe(
        z.int().min(0).max(65535).optional(),
        'Port of API, metrics and status page on 127.0.0.1; default 15014, or a free port where that is taken; 0: a free port.',
      ),
      xdsPort: describe(
        z.int().min(0).max(65535).default(0),
        'Port for xDS in plaintext on 127.0.0.1; 0 (default): closed.',
      ),
      xdsTlsPort: describe(
        z.int().min(0).max(65535).default(0),
        'Port for xDS over TLS on 127.0.0.1; 0 (default): closed.',
      ),
    }).prefault({}),
    'Ports of the control plane.',
  ),
  services: describe(z.record(serviceName, service), 'What runs, by name of the service.'),
}).superRefine((value, context) => {
  if (Object.keys(value.services).length === 0)
    context.addIssue({ code: 'custom', path: ['services'], message: 'must name a service' });
  checkWorkloadNames(value.services, context);
  checkUpstreams(value.services, context);
  checkFixedPorts(value, context);
});

export type MeshFile = z.infer<typeof meshFileSchema>;
export type ServiceEntryOfFile = z.infer<typeof service>;
export type Runnable = z.infer<typeof version>;

/** The service and port that a key of `upstreams` means; undefined where there is none. */
export function findUpstream(
  services: MeshFile['services'],
  key: string,
): { readonly service: string; readonly port: number } | undefined {
  const match = /^([^.:]+)(?:\.([^.:]+))?(?:\.svc(?:\.cluster\.local)?)?(?::(\d+))?$/.exec(key);
  const target = match === null ? undefined : services[match[1]!];
  if (match === null || target === undefined) return undefined;
  if (match[2] !== undefined && match[2] !== (target.namespace ?? 'default')) return undefined;
  const ports = target.ports?.map(({ port }) => port) ?? (target.port === undefined ? [] : [target.port]);
  const port = match[3] === undefined ? ports[0] : ports.find((candidate) => candidate === Number(match[3]));
  return port === undefined ? undefined : { service: match[1]!, port };
}

/** The host and port of a key of `upstreams` that is for a service of a ServiceEntry: a full name with :port. */
export function findForeignUpstream(
  services: MeshFile['services'],
  key: string,
): { readonly host: string; readonly port: number } | undefined {
  if (findUpstream(services, key.replace(/:\d+$/, '')) !== undefined) return undefined; // without this port
  const match = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?(?:\.[a-z0-9]([-_a-z0-9]*[a-z0-9])?)+):(\d{1,5})$/i.exec(key);
  const port = Number(match?.[4]);
  return match !== null && port >= 1 && port <= 65535 ? { host: match[1]!.toLowerCase(), port } : undefined;
}

/** Version `b` of `a` is called like the service `a-b`: in one namespace there can be only one of them. */
function checkWorkloadNames(services: MeshFile['services'], context: z.RefinementCtx): void {
  const taken = new Map<string, string>();
  for (const [name, { namespace = 'default', versions }] of Object.entries(services))
    for (const version of versions === undefined ? [undefined] : Object.keys(versions)) {
      const workload = version === undefined ? name : `${name}-${version}`;
      const path = ['services', name, ...(version === undefined ? [] : ['versions', version])];
      const other = taken.get(`${namespace}/${workload}`);
      if (other === undefined) taken.set(`${namespace}/${workload}`, path.join('.'));
      else
        context.addIssue({
          code: 'custom',
          path,
          message: `is a workload ${workload}, which ${other} is too; rename one`,
        });
    }
}

function checkUpstreams(services: MeshFile['services'], context: z.RefinementCtx): void {
  for (const [name, { upstreams }] of Object.entries(services))
    for (const key of Object.keys(upstreams ?? {}))
      if (findUpstream(services, key) === undefined && findForeignUpstream(services, key) === undefined)
        context.addIssue({
          code: 'custom',
          path: ['services', name, 'upstreams', key],
          message:
            'is no service of this file with a port; write name, name.namespace, either with :port, or host:port of a ServiceEntry',
        });
}

/** A port that the file fixes can be used once. */
function checkFixedPorts(
  { control, services }: { control: MeshFile['control']; services: MeshFile['services'] },
  context: z.RefinementCtx,
): void {
  const used = new Map<number, string>();
  const use = (port: number | undefined, path: (string | number)[]) => {
    if (port === undefined || port === 0) return;
    const other = used.get(port);
    if (other !== undefined) context.addIssue({ code: 'custom', path, message: `${port} is already used by ${other}` });
    else used.set(port, path.join('.'));
  };
  for (const key of ['httpPort', 'xdsPort', 'xdsTlsPort'] as const) use(control[key], ['control', key]);
  for (const [name, service] of Object.entries(services)) {
    use(service.inboundPort, ['services', name, 'inboundPort']);
    use(service.outboundPort, ['services', name, 'outboundPort']);
    for (const [key, port] of Object.entries(service.upstreams ?? {})) use(port, ['services', name, 'upstreams', key]);
  }
}

/** Splits `127.0.0.1:80` or `[::1]:80`; undefined where it is neither. */
export function parseAddress(value: string): { readonly address: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|(localhost)):(\d{1,5})$/.exec(value);
  if (match === null) return undefined;
  const ip = match[3] === 'localhost' ? '127.0.0.1' : (match[1] ?? match[2]!);
  const port = Number(match[4]);
  return isIP(ip) !== 0 && port >= 1 && port <= 65535 ? { address: ip, port } : undefined;
}

function checkRunnable(value: Runnable, context: z.RefinementCtx): void {
  const problem = (message: string, path: string[] = []) => context.addIssue({ code: 'custom', path, message });
  if (value.command !== undefined && value.address !== undefined)
    problem('has command and address; only one is allowed');
  if (value.command === undefined && value.address === undefined)
    problem('needs a command to start, or the address of something that runs already');
  if (value.address !== undefined && value.replicas !== undefined) problem('cannot stand beside address', ['replicas']);
  if (value.address !== undefined && value.env !== undefined) problem('cannot stand beside address', ['env']);
}

function checkPorts(ports: readonly z.infer<typeof servicePort>[], context: z.RefinementCtx): void {
  const numbers = new Set<number>();
  const names = new Set<string>();
  for (const [i, { port, name, protocol: declared }] of ports.entries()) {
    if (protocolOf({ port, name, protocol: declared }) === 'udp')
      context.addIssue({
        code: 'custom',
        path: ['ports', i, 'name'],
        message: `${name} says UDP, which the mesh does not carry; give it another name, or a protocol`,
      });
    if (numbers.has(port))
      context.addIssue({ code: 'custom', path: ['ports', i, 'port'], message: `names port ${port} twice` });
    if (name !== undefined && names.has(name))
      context.addIssue({ code: 'custom', path: ['ports', i, 'name'], message: `names ${name} twice` });
    numbers.add(port);
    if (name !== undefined) names.add(name);
  }
}
