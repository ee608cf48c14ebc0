// Objects that several judges put into their meshes.

/** Nothing but mTLS between workloads. */
export const strictMtls = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;

/** One attempt is one attempt, and nobody waits for ever. */
export function routeOnce(host: string, timeout: string): string {
  return `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${host} }
spec:
  hosts: [${host}]
  http: [{ route: [{ destination: { host: ${host} } }], timeout: ${timeout}, retries: { attempts: 0 } }]
`;
}
