// Which mTLS mode holds for a port of a workload: the narrowest PeerAuthentication that says something.
import type { PeerAuthentication } from '../api/kinds.js';
import type { MutualTlsMode, PeerAuthenticationSpec } from '../api/peer-authentication.js';
import type { Snapshot } from '../model/snapshot.js';
import { matchesLabels, type Workload } from '../model/workload.js';

export interface EffectiveMode {
  readonly mode: MutualTlsMode;
  /** The object that decided; undefined where none does and Istio's default (PERMISSIVE) holds. */
  readonly source: PeerAuthentication | undefined;
  /** Field of it that decided; empty where none did. */
  readonly path: string;
}

/**
 * Mesh (root namespace, no selector) < namespace < workload < port; the oldest counts on each level; UNSET inherits.
 * Objects with a selector in the root namespace have no effect, as in Istio.
 */
export function effectiveMode(snapshot: Snapshot, workload: Workload, port: number): EffectiveMode {
  const root = snapshot.meshConfig.rootNamespace;
  const oldest = (matches: (policy: PeerAuthentication) => boolean) => snapshot.peerAuthentications.find(matches);
  const forMesh = oldest((policy) => policy.namespace === root && !hasSelector(policy));
  const forNamespace = oldest((policy) => policy.namespace === workload.namespace && !hasSelector(policy));
  const forWorkload = oldest(
    (policy) =>
      policy.namespace === workload.namespace &&
      policy.namespace !== root &&
      hasSelector(policy) &&
      matchesLabels(workload.labels, policy.spec.selector?.matchLabels ?? {}),
  );
  const forAllPorts = (spec: PeerAuthenticationSpec) => spec.mtls?.mode;
  const levels: [PeerAuthentication | undefined, string, (spec: PeerAuthenticationSpec) => string | undefined][] = [
    [forWorkload, `spec.portLevelMtls["${port}"]`, (spec) => spec.portLevelMtls?.[String(port)]?.mode],
    [forWorkload, 'spec.mtls', forAllPorts],
    [forNamespace, 'spec.mtls', forAllPorts],
    [forMesh, 'spec.mtls', forAllPorts],
  ];
  for (const [source, path, modeOf] of levels) {
    const mode = source === undefined ? undefined : modeOf(source.spec);
    if (mode !== undefined && mode !== 'UNSET') return { mode: mode as MutualTlsMode, source, path };
  }
  return { mode: 'PERMISSIVE', source: undefined, path: '' };
}

function hasSelector(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0;
}
