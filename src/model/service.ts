// A service: a name that is called, its ports, and the identities that may answer for it.
import type { PortProtocol } from '../api/mesh-file.js';

/** How the bytes of a port are read; `detect` decides by the first bytes of each connection. */
export type Protocol = PortProtocol | 'detect';

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface Service {
  readonly name: string;
  readonly namespace: string;
  /** Full name, such as `reviews.shop.svc.cluster.local`. */
  readonly host: string;
  readonly ports: readonly ServicePort[];
  /** SPIFFE IDs of its workloads: a server with another identity is refused. */
  readonly identities: readonly string[];
}

/** Whether requests on such a port are read one by one; everything else is carried as bytes. */
export function mayCarryHttp(protocol: Protocol): boolean {
  return protocol === 'http' || protocol === 'detect';
}
