// The register of kinds: which objects are taken, under which versions, and which are known but refused.
import { authorizationPolicySpec, type AuthorizationPolicySpec } from './authorization-policy.js';
import { destinationRuleSpec, type DestinationRuleSpec } from './destination-rule.js';
import type { MeshObject } from './object.js';
import { peerAuthenticationSpec, type PeerAuthenticationSpec } from './peer-authentication.js';
import { serviceEntrySpec, type ServiceEntrySpec } from './service-entry.js';
import { serviceSpec, type ServiceSpec } from './service.js';
import { virtualServiceSpec, type VirtualServiceSpec } from './virtual-service.js';
import { workloadEntrySpec, type WorkloadEntrySpec } from './workload-entry.js';
import type { z } from './schema.js';

/** One kind that is taken. */
export interface Kind {
  readonly kind: string;
  /** API group; empty for the core of Kubernetes. */
  readonly group: string;
  readonly versions: readonly string[];
  /** Names that `lateen get` takes, lower-case: plural first, then singular and short forms. */
  readonly names: readonly string[];
  readonly spec: z.ZodType;
  /** Annotations with an effect in Istio that is not supported here, and what they would do; `false` for a value is taken. */
  readonly refusedAnnotations?: Readonly<Record<string, string>>;
  readonly purpose: string;
}

export type VirtualService = MeshObject<VirtualServiceSpec>;
export type DestinationRule = MeshObject<DestinationRuleSpec>;
export type PeerAuthentication = MeshObject<PeerAuthenticationSpec>;
export type AuthorizationPolicy = MeshObject<AuthorizationPolicySpec>;
export type ServiceObject = MeshObject<ServiceSpec>;
export type ServiceEntry = MeshObject<ServiceEntrySpec>;
export type WorkloadEntry = MeshObject<WorkloadEntrySpec>;

export const kinds: readonly Kind[] = [
  {
    kind: 'VirtualService',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    names: ['virtualservices', 'virtualservice', 'vs'],
    spec: virtualServiceSpec,
    purpose: 'which request goes where',
  },
  {
    kind: 'DestinationRule',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    names: ['destinationrules', 'destinationrule', 'dr'],
    spec: destinationRuleSpec,
    purpose: 'subsets and connection policies of a host',
  },
  {
    kind: 'PeerAuthentication',
    group: 'security.istio.io',
    versions: ['v1', 'v1beta1'],
    names: ['peerauthentications', 'peerauthentication', 'pa'],
    spec: peerAuthenticationSpec,
    purpose: 'where mTLS is demanded',
  },
  {
    kind: 'AuthorizationPolicy',
    group: 'security.istio.io',
    versions: ['v1', 'v1beta1'],
    names: ['authorizationpolicies', 'authorizationpolicy', 'ap'],
    spec: authorizationPolicySpec,
    refusedAnnotations: { 'istio.io/dry-run': 'policies that only report what they would do' },
    purpose: 'who may call whom, and how',
  },
  {
    kind: 'Service',
    group: '',
    versions: ['v1'],
    names: ['services', 'service', 'svc'],
    spec: serviceSpec,
    purpose:
      'further labels of a service of mesh.yaml, or a service that selects workloads; fields that are not named below have no effect',
  },
  {
    kind: 'ServiceEntry',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    names: ['serviceentries', 'serviceentry', 'se'],
    spec: serviceEntrySpec,
    purpose: 'services that are not in mesh.yaml',
  },
  {
    kind: 'WorkloadEntry',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    names: ['workloadentries', 'workloadentry', 'we'],
    spec: workloadEntrySpec,
    purpose: 'endpoints that ServiceEntries select',
  },
];

/** Kinds that belong to a mesh and are refused: a user who brings one is told so by name. */
export const refusedKinds: Readonly<Record<string, readonly string[]>> = {
  'networking.istio.io': ['Gateway', 'Sidecar', 'WorkloadGroup', 'ProxyConfig', 'EnvoyFilter'],
  'security.istio.io': ['RequestAuthentication'],
  'telemetry.istio.io': ['Telemetry'],
  'extensions.istio.io': ['WasmPlugin', 'TrafficExtension'],
  'gateway.networking.k8s.io': [
    'GatewayClass',
    'Gateway',
    'HTTPRoute',
    'GRPCRoute',
    'TLSRoute',
    'TCPRoute',
    'UDPRoute',
    'ReferenceGrant',
    'BackendTLSPolicy',
    'ListenerSet',
  ],
  'flagger.app': ['Canary', 'MetricTemplate', 'AlertProvider'],
  'argoproj.io': ['Rollout', 'AnalysisTemplate', 'ClusterAnalysisTemplate', 'AnalysisRun'],
  '': ['Namespace', 'Pod', 'Secret', 'ConfigMap'],
  'discovery.k8s.io': ['EndpointSlice'],
};

/** The kind that `name` means on a command line, or undefined. */
export function findKind(name: string): Kind | undefined {
  return kinds.find((kind) => kind.names.includes(name.toLowerCase()) || kind.kind === name);
}
