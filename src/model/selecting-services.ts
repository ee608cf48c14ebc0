// Services of Service objects that mesh.yaml does not have: they select workloads, as in Kubernetes.
import type { ServiceObject } from '../api/kinds.js';
import { entryProtocols } from '../api/service-entry.js';
import type { ServiceObjectPort } from '../api/service.js';
import { serviceHost } from './host.js';
import { identitiesOf, selectEndpoints, type EntrySurroundings, type ServiceEndpoint } from './service-entries.js';
import type { Protocol, Service } from './service.js';

/** Ports where the server speaks first (SMTP, DNS, MySQL, MongoDB): their bytes are not waited for. */
const serverFirstPorts = new Set([25, 53, 3306, 27017]);

const appProtocols: Readonly<Record<string, Protocol>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'tls',
};

/** Whether the object is a service of its own where mesh.yaml has none of that name. */
export function selectsWorkloads({ spec }: ServiceObject): boolean {
  return Object.keys(spec.selector ?? {}).length > 0 && portsOf(spec.ports).length > 0;
}

export function endpointsOfObject(object: ServiceObject, around: EntrySurroundings): ServiceEndpoint[] {
  return selectEndpoints(object.namespace, object.spec.selector ?? {}, around);
}

export function serviceOfObject(object: ServiceObject, endpoints: readonly ServiceEndpoint[]): Service {
  return {
    name: object.name,
    namespace: object.namespace,
    host: serviceHost(object.name, object.namespace),
    ports: portsOf(object.spec.ports).map(({ port, name, appProtocol, targetPort }) => ({
      name: name ?? `port-${port}`,
      port,
      protocol: protocolOf(port, appProtocol, name),
      ...(typeof targetPort === 'number' ? { targetPort } : {}),
    })),
    identities: identitiesOf(endpoints),
    object,
  };
}

function portsOf(ports: readonly ServiceObjectPort[] = []): ServiceObjectPort[] {
  return ports.filter(({ protocol = 'TCP' }) => protocol === 'TCP');
}

/** appProtocol, else what stands before the first dash of the name, else the first bytes decide. */
function protocolOf(port: number, appProtocol: string | undefined, name = ''): Protocol {
  const said = (appProtocol ?? (/^grpc-web\b/i.test(name) ? 'grpc-web' : name.split('-', 1)[0]!)).toLowerCase();
  if (Object.hasOwn(appProtocols, said)) return appProtocols[said]!;
  if (Object.hasOwn(entryProtocols, said)) return entryProtocols[said as keyof typeof entryProtocols];
  return serverFirstPorts.has(port) ? 'tcp' : 'detect';
}
