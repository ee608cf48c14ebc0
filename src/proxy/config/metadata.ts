// Reads what Istio and we write into the metadata of messages.
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { CalledService } from '../../telemetry/istio-labels.js';
import type { Metadata } from '../../xds/messages.js';

/** The object and field from which something was compiled. */
export interface Provenance {
  /** `Kind/namespace/name`. */
  readonly object: string;
  readonly path: string;
}

export function findProvenance(metadata: Metadata | undefined): Provenance | undefined {
  const fields = metadata?.filterMetadata['lateen.dev'];
  const object = textOf(fields?.['object']);
  return object === undefined ? undefined : { object, path: textOf(fields?.['path']) ?? '' };
}

/** The service that a cluster belongs to (`istio.services` of its metadata). */
export function findService(metadata: Metadata | undefined): CalledService | undefined {
  const services = metadata?.filterMetadata['istio']?.['services'];
  const first = Array.isArray(services) ? services[0] : undefined;
  if (!isObject(first)) return undefined;
  const host = textOf(first['host']);
  return host === undefined
    ? undefined
    : {
        host,
        name: textOf(first['name']) ?? host.split('.', 1)[0]!,
        namespace: textOf(first['namespace']) ?? 'unknown',
      };
}

/** The one-line description of an endpoint's workload (`istio.workload`). */
export function findWorkloadSummary(metadata: Metadata | undefined): string | undefined {
  return textOf(metadata?.filterMetadata['istio']?.['workload']);
}

/** What chooses an endpoint's transport socket. */
export function transportSocketLabels(metadata: Metadata | undefined): JsonObject {
  return metadata?.filterMetadata['envoy.transport_socket_match'] ?? {};
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
