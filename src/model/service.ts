// A service: a name that is called, its ports, and the identities that may answer for it.
import type { ServiceEntry, ServiceObject } from '../api/kinds.js';
import type { PortProtocol } from '../api/port-protocol.js';

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: PortProtocol;
  /** Port of endpoints that say nothing else; absent: the same. */
  readonly targetPort?: number;
}

export interface Service {
  /** Short name; of a service from a ServiceEntry its host, as in Istio. */
  readonly name: string;
  readonly namespace: string;
  /** Full name, such as `reviews.shop.svc.cluster.local`; from a ServiceEntry also a wildcard, such as `*.example.com`. */
  readonly host: string;
  readonly ports: readonly ServicePort[];
  /** SPIFFE IDs of its workloads: a server with another identity is refused. */
  readonly identities: readonly string[];
  /** The ServiceEntry that it comes from. */
  readonly entry?: ServiceEntry;
  /** The Service object that it comes from; without it and an entry it is from mesh.yaml. */
  readonly object?: ServiceObject;
}

/** Whether a service is outside the mesh: called in plaintext, whatever its endpoints say. */
export function isExternal({ entry }: Service): boolean {
  return entry !== undefined && entry.spec.location !== 'MESH_INTERNAL';
}

/** What connections of a port carry; `either`: each is what its first bytes say. */
export function carriedBy(protocol: PortProtocol): 'requests' | 'bytes' | 'either' {
  switch (protocol) {
    case 'http':
    case 'http2':
    case 'grpc':
    case 'grpc-web':
      return 'requests';
    case 'tcp':
    case 'tls':
    case 'https':
      return 'bytes';
    case 'detect':
      return 'either';
  }
}

/** Whether requests on such a port may be read one by one; everything else is carried as bytes. */
export function mayCarryHttp(protocol: PortProtocol): boolean {
  return carriedBy(protocol) !== 'bytes';
}
