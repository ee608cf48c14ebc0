// What the bytes of a port are, as users declare it: by a field, by the name of the port, or by its number.

/** What a port can be declared as; `detect`: the first bytes of each connection decide. */
export const portProtocols = ['http', 'http2', 'grpc', 'grpc-web', 'tcp', 'tls', 'https', 'detect'] as const;
export type PortProtocol = (typeof portProtocols)[number];

/** Istio's protocols in lower case, and what they are here. UDP is none: such ports are left out. */
export const istioProtocols = {
  http: 'http',
  http2: 'http2',
  grpc: 'grpc',
  'grpc-web': 'grpc-web',
  https: 'https',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  redis: 'tcp',
  mysql: 'tcp',
} as const satisfies Record<string, PortProtocol>;

/** Kubernetes' standard application protocols (KEP-3726). */
const kubernetesProtocols: Readonly<Record<string, PortProtocol>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'https',
};

/** Ports where the server speaks first (SMTP, MySQL), or whose bytes tell nothing (DNS, MongoDB), as in Istio. */
const bytesPorts = new Set([25, 53, 3306, 27017]);

/** What is said of a port. */
export interface PortDeclaration {
  readonly port: number;
  /** A field for the protocol; outweighs the name. */
  readonly protocol?: string | undefined;
  /** The part before the first dash counts where it is a protocol. */
  readonly name?: string | undefined;
}

/** How a port is read (Istio: protocol selection); `udp` where it is left out. A word that is no protocol says nothing. */
export function protocolOf({ port, protocol, name = '' }: PortDeclaration): PortProtocol | 'udp' {
  const said = (protocol || (/^grpc-web\b/i.test(name) ? 'grpc-web' : name.split('-', 1)[0]!)).toLowerCase();
  if (said === 'udp' || said === 'detect') return said;
  if (Object.hasOwn(kubernetesProtocols, said)) return kubernetesProtocols[said]!;
  if (Object.hasOwn(istioProtocols, said)) return istioProtocols[said as keyof typeof istioProtocols];
  return bytesPorts.has(port) ? 'tcp' : 'detect';
}
