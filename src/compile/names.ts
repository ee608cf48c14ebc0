// The names that Istio gives to resources; its tools, dashboards and logs know them.

/** Direction, port, subset and host joined as Istio joins them: `outbound|9080|v1|reviews.shop.svc.cluster.local`. */
export function outboundClusterName(port: number, subset: string, host: string): string {
  return `outbound|${port}|${subset}|${host}`;
}

export function inboundClusterName(port: number): string {
  return `inbound|${port}||`;
}

/** The server name that a client proxy asks for. */
export function serverNameIndication(port: number, subset: string, host: string): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** Route configuration of the listener that serves every host. */
export const httpProxyRoutes = 'http_proxy';

/** Route configuration of listeners for one port of one service. */
export function serviceRoutesName(host: string, port: number): string {
  return `${host}:${port}`;
}

/** Name of a listener, from where it listens. */
export function listenerName(address: string, port: number): string {
  return `${address}_${port}`;
}

/** The listener inside the proxy to which a CONNECT for a service is handed. */
export function connectListenerName(host: string, port: number): string {
  return `connect|${port}|${host}`;
}
