// What a proxy tells its peer about its workload, right after the handshake and before anything else: the labels of the
// other side's metrics. The bytes are those of Istio's metadata exchange (magic number, length, a packed Struct).
import { create, fromBinary, toBinary, type JsonObject } from '@bufbuild/protobuf';
import { AnySchema, anyPack, anyUnpack, StructSchema, ValueSchema, type Struct } from '@bufbuild/protobuf/wkt';
import type { SpiffeId } from '../identity/spiffe-id.js';
import { memoize } from '../util/memoize.js';
import { rememberRecent } from '../util/recent.js';
import { unknown, unknownParty, type Party } from './istio-labels.js';

const magic = 0x3d230467;
export const preambleHeaderLength = 8;
/** Longest metadata that is read. */
const longestMetadata = 16 * 1024;
/** Peers whose metadata is remembered. */
const mostPeers = 64;

/** A workload as its own proxy describes it: the node metadata of Istio. */
export interface NodeMetadata {
  /** Name of the instance. */
  readonly NAME: string;
  readonly NAMESPACE: string;
  readonly WORKLOAD_NAME: string;
  readonly SERVICE_ACCOUNT: string;
  readonly CLUSTER_ID: string;
  readonly LABELS: Readonly<Record<string, string>>;
}

/** Labels from which a party is made. */
const partyLabels = [
  'app',
  'version',
  'service.istio.io/canonical-name',
  'service.istio.io/canonical-revision',
  'app.kubernetes.io/name',
  'app.kubernetes.io/version',
] as const;

/** The bytes that open a connection between proxies; where they would be too many, only labels that peers use are among them. */
export const encodePreamble = memoize((metadata: NodeMetadata): Buffer => {
  let body = encodeMetadata(metadata);
  if (body.length > longestMetadata) {
    const used = partyLabels.filter((name) => Object.hasOwn(metadata.LABELS, name));
    body = encodeMetadata({ ...metadata, LABELS: Object.fromEntries(used.map((n) => [n, metadata.LABELS[n]!])) });
  }
  const header = Buffer.alloc(preambleHeaderLength);
  header.writeUInt32BE(magic, 0);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
});

function encodeMetadata(metadata: NodeMetadata): Uint8Array {
  // protobuf-es takes a Struct as plain JSON inside messages; a top-level one is built from its fields.
  return toBinary(AnySchema, anyPack(StructSchema, structOf(metadata as unknown as JsonObject)));
}

/** What arrived so far of a preamble. */
export type PreambleState =
  | { readonly complete: false }
  | { readonly complete: true; readonly length: number; readonly metadata: NodeMetadata | undefined };

/**
 * Reads a preamble from the start of `bytes`.
 * @throws Error where the bytes are no preamble
 */
export function decodePreamble(bytes: Buffer): PreambleState {
  if (bytes.length < preambleHeaderLength) return { complete: false };
  if (bytes.readUInt32BE(0) !== magic) throw new Error('the peer did not begin with its metadata');
  const length = bytes.readUInt32BE(4);
  if (length > longestMetadata) throw new Error(`the peer's metadata is longer than ${longestMetadata} bytes`);
  const end = preambleHeaderLength + length;
  if (bytes.length < end) return { complete: false };
  return { complete: true, length: end, metadata: decodeMetadata(bytes.toString('latin1', preambleHeaderLength, end)) };
}

/** A peer says the same at the beginning of every connection. */
const decodeMetadata = rememberRecent(readMetadata, mostPeers);

/** @param text the bytes, as latin1 */
function readMetadata(text: string): NodeMetadata | undefined {
  const struct = anyUnpack(fromBinary(AnySchema, Buffer.from(text, 'latin1')), StructSchema);
  if (struct === undefined) return undefined;
  const valueOf = (name: string) => {
    const kind = struct.fields[name]?.kind;
    return kind?.case === 'stringValue' ? kind.value : '';
  };
  const labels: Record<string, string> = Object.create(null) as Record<string, string>;
  const labelsKind = struct.fields['LABELS']?.kind;
  if (labelsKind?.case === 'structValue')
    for (const [name, value] of Object.entries(labelsKind.value.fields))
      if (value.kind.case === 'stringValue') labels[name] = value.kind.value;
  return {
    NAME: valueOf('NAME'),
    NAMESPACE: valueOf('NAMESPACE'),
    WORKLOAD_NAME: valueOf('WORKLOAD_NAME'),
    SERVICE_ACCOUNT: valueOf('SERVICE_ACCOUNT'),
    CLUSTER_ID: valueOf('CLUSTER_ID'),
    LABELS: labels,
  };
}

/** A workload as a side of a call. */
export function partyOf(metadata: NodeMetadata, principal: string): Party {
  const { LABELS: labels } = metadata;
  const known = (value: string | undefined) => (value === undefined || value === '' ? undefined : value);
  return {
    workload: known(metadata.WORKLOAD_NAME) ?? unknown,
    namespace: known(metadata.NAMESPACE) ?? unknown,
    principal,
    app: known(labels['app']) ?? unknown,
    version: known(labels['version']) ?? unknown,
    canonicalService:
      known(labels['service.istio.io/canonical-name']) ??
      known(labels['app.kubernetes.io/name']) ??
      known(labels['app']) ??
      known(metadata.WORKLOAD_NAME) ??
      unknown,
    canonicalRevision:
      known(labels['service.istio.io/canonical-revision']) ??
      known(labels['app.kubernetes.io/version']) ??
      known(labels['version']) ??
      'latest',
    cluster: known(metadata.CLUSTER_ID) ?? unknown,
  };
}

/** The same value for every connection of a peer, so that what is counted for it is looked up once. */
const partyOfPeer = memoize(partyOf);

/** The peer as it may be believed: what it says of itself counts only where its certificate says the same. */
export function believedParty(metadata: NodeMetadata | undefined, uri: string, id: SpiffeId): Party {
  if (metadata !== undefined && metadata.NAMESPACE === id.namespace && metadata.SERVICE_ACCOUNT === id.serviceAccount)
    return partyOfPeer(metadata, uri);
  return { ...unknownParty, namespace: id.namespace, principal: uri };
}

/** A party from the one line of endpoint metadata: `name;namespace;canonical name;canonical revision;cluster`. */
export function partyOfSummary(summary: string, principal: string = unknown): Party {
  const [workload, namespace, canonicalService, canonicalRevision, cluster] = summary.split(';');
  const known = (value: string | undefined, otherwise: string) =>
    value === undefined || value === '' ? otherwise : value;
  return {
    ...unknownParty,
    workload: known(workload, unknown),
    namespace: known(namespace, unknown),
    principal,
    canonicalService: known(canonicalService, unknown),
    canonicalRevision: known(canonicalRevision, 'latest'),
    cluster: known(cluster, unknown),
  };
}

function structOf(json: JsonObject): Struct {
  return create(StructSchema, {
    fields: Object.fromEntries(
      Object.entries(json).map(([name, value]) => [
        name,
        create(ValueSchema, {
          kind:
            typeof value === 'object' && value !== null && !Array.isArray(value)
              ? { case: 'structValue', value: structOf(value) }
              : { case: 'stringValue', value: String(value) },
        }),
      ]),
    ),
  });
}
