// PeerAuthentication (security.istio.io): whether workloads insist on mTLS.
import { describe, labels, record, z } from './schema.js';

const mode = z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']);
const mutualTls = record({
  mode: describe(
    mode.optional(),
    'STRICT: mTLS only; PERMISSIVE: plaintext too; DISABLE: plaintext only; UNSET: as the next wider object says.',
  ),
});

export const peerAuthenticationSpec = record({
  selector: describe(
    record({ matchLabels: describe(labels.optional(), 'Labels that a workload must have.') }).optional(),
    'Workloads of the namespace that it is for; absent: all of the namespace, or in the root namespace all of the mesh.',
  ),
  mtls: describe(mutualTls.optional(), 'For all ports.'),
  portLevelMtls: describe(
    z
      .record(
        z.string().refine((port) => /^[1-9][0-9]{0,4}$/.test(port) && Number(port) <= 65535, 'must be a port'),
        mutualTls,
      )
      .optional(),
    'For single ports of the workload; needs a selector.',
  ),
}).superRefine((value, context) => {
  if (value.portLevelMtls !== undefined && Object.keys(value.selector?.matchLabels ?? {}).length === 0)
    context.addIssue({ code: 'custom', path: ['portLevelMtls'], message: 'needs a selector with matchLabels' });
});

export type PeerAuthenticationSpec = z.infer<typeof peerAuthenticationSpec>;
export type MutualTlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';
