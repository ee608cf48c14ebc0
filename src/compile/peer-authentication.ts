// Which mTLS mode holds for a port of a workload: the narrowest PeerAuthentication that says something.
import type { PeerAuthentication } from '../api/kinds.js';
import type { MutualTlsMode, PeerAuthenticationSpec } from '../api/peer-authentication.js';
import type { Snapshot } from '../model/snapshot.js';
import { matchesLabels, type Workload } from '../model/workload.js';

export interface EffectiveMode {
  readonly mode: MutualTlsMode;
  /** The object that decided; undefined where none does and Istio's default (PERMISSIVE) holds. */
  readonly source: PeerAuthentication | undefined;
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
  const levels: [PeerAuthentication | undefined, (spec: PeerAuthenticationSpec) => string | undefined][] = [
    [forWorkload, (spec) => spec.portLevelMtls?.[String(port)]?.mode],
    [forWorkload, (spec) => spec.mtls?.mode],
    [forNamespace, (spec) => spec.mtls?.mode],
    [forMesh, (spec) => spec.mtls?.mode],
  ];
  for (const [source, modeOf] of levels) {
    const mode = source === undefined ? undefined : modeOf(source.spec);
    if (mode !== undefined && mode !== 'UNSET') return { mode: mode as MutualTlsMode, source };
  }
  return { mode: 'PERMISSIVE', source: undefined };
}

function hasSelector(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0;
}
