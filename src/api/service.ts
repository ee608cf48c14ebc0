// Service (core): beside mesh.yaml, which says what runs, it adds labels; ports are compared so that a difference is told.
import { describe, labels, portNumber, z } from './schema.js';

/** Fields beyond these concern a cluster's own load balancing, which does not exist here. */
export const serviceSpec = z.looseObject({
  ports: describe(
    z.array(z.looseObject({ port: describe(portNumber, 'Should be a port of the service in mesh.yaml.') })).optional(),
    'Ports; those of mesh.yaml count, and a difference is a diagnostic.',
  ),
  selector: describe(labels.optional(), 'No effect: the workloads of a service are those of mesh.yaml.'),
});

export type ServiceSpec = z.infer<typeof serviceSpec>;
