// Services of Service objects that mesh.yaml does not have: they select workloads, as in Kubernetes.
import type { ServiceObject } from '../api/kinds.js';
import { protocolOf, type PortProtocol } from '../api/port-protocol.js';
import type { ServiceObjectPort } from '../api/service.js';
import { serviceHost } from './host.js';
import { identitiesOf, selectEndpoints, type EntrySurroundings, type ServiceEndpoint } from './service-entries.js';
import type { Service, ServicePort } from './service.js';

/** Whether the object is a service of its own where mesh.yaml has none of that name. */
export function selectsWorkloads({ spec }: ServiceObject): boolean {
  return Object.keys(spec.selector ?? {}).length > 0 && (spec.ports ?? []).some((port) => readProtocol(port) !== 'udp');
}

export function endpointsOfObject(object: ServiceObject, around: EntrySurroundings): ServiceEndpoint[] {
  return selectEndpoints(object.namespace, object.spec.selector ?? {}, around);
}

export function serviceOfObject(object: ServiceObject, endpoints: readonly ServiceEndpoint[]): Service {
  return {
    name: object.name,
    namespace: object.namespace,
    host: serviceHost(object.name, object.namespace),
    ports: portsOf(object.spec.ports),
    identities: identitiesOf(endpoints),
    object,
  };
}

/** What a port of a Service carries; `udp` where it is left out: UDP, and everything else below that is not TCP. */
export function readProtocol({ port, name, protocol = 'TCP', appProtocol }: ServiceObjectPort): PortProtocol | 'udp' {
  return protocol === 'TCP' ? protocolOf({ port, name, protocol: appProtocol }) : 'udp';
}

function portsOf(ports: readonly ServiceObjectPort[] = []): ServicePort[] {
  return ports.flatMap((declared) => {
    const { port, name = `port-${port}`, targetPort } = declared;
    const protocol = readProtocol(declared);
    if (protocol === 'udp') return [];
    return [{ name, port, protocol, ...(typeof targetPort === 'number' ? { targetPort } : {}) }];
  });
}
