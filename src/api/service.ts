// Service (core): beside a service of mesh.yaml, which says what runs, it adds labels; with a name of its own it selects
// workloads, as in Kubernetes.
import { describe, labels, portNumber, z } from './schema.js';

const servicePort = z.looseObject({
  port: describe(
    portNumber,
    'Port under which it is called; of a service in mesh.yaml it should be one of those there.',
  ),
  name: describe(
    z.string().optional(),
    'The part before the first dash is the protocol, where it is one; else ports 25, 53, 3306 and 27017 carry TCP, and the first bytes of each connection tell on others.',
  ),
  appProtocol: describe(
    z.string().optional(),
    'Protocol, also kubernetes.io/h2c, kubernetes.io/ws and kubernetes.io/wss; outweighs that of the name.',
  ),
  protocol: describe(z.string().optional(), 'TCP; ports of UDP are left out.'),
  targetPort: describe(
    z.union([portNumber, z.string()], { error: 'must be a port, or the name of one' }).optional(),
    'Port of the workloads in mesh.yaml, by number (a name is told and disregarded); default: port.',
  ),
});

/** Fields beyond these concern a cluster's own load balancing, which does not exist here. */
export const serviceSpec = z.looseObject({
  ports: describe(
    z.array(servicePort).optional(),
    'Ports; of a service in mesh.yaml those there count, and a difference is a diagnostic.',
  ),
  selector: describe(
    labels.optional(),
    'Labels of the workloads and WorkloadEntries of its namespace that answer; no effect for a service in mesh.yaml.',
  ),
});

export type ServiceSpec = z.infer<typeof serviceSpec>;
export type ServiceObjectPort = z.infer<typeof servicePort>;
