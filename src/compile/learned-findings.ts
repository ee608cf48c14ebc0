// Findings about ports of which connections tell what nobody declares: what to declare, and what that saves.
import type { Diagnostic } from '../api/diagnostic.js';
import type { Service, ServicePort } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import { finding } from './finding.js';
import { listenerPorts } from './listener-ports.js';

/** Listeners of one proxy whose servers were seen to speak first. */
export interface ServerFirstListeners {
  /** Uid of the workload. */
  readonly workload: string;
  readonly listeners: readonly string[];
}

/** One finding for each port, however many proxies have learned it. */
export function findServerFirstPorts(snapshot: Snapshot, seen: readonly ServerFirstListeners[]): Diagnostic[] {
  const found = new Map<ServicePort, Diagnostic>();
  for (const { workload: uid, listeners } of seen) {
    const workload = snapshot.workloads.get(uid);
    if (workload === undefined) continue;
    const ports = listenerPorts(snapshot, workload);
    for (const name of listeners) {
      const place = ports.get(name);
      if (place?.port.protocol === 'detect' && !found.has(place.port))
        found.set(place.port, declare(place.service, place.port));
    }
  }
  return [...found.values()];
}

function declare({ name, entry, object }: Service, { port }: ServicePort): Diagnostic {
  const message = (how: string) =>
    `port ${port} of service ${name}: the server speaks first; ${how} to save up to 100 ms at the first connection of each caller`;
  if (entry !== undefined) {
    const i = entry.spec.ports!.findIndex(({ number }) => number === port);
    return finding('info', 'LAT0011', entry, `spec.ports[${i}].protocol`, message('declare `protocol: TCP`'));
  }
  if (object !== undefined) {
    const i = object.spec.ports!.findIndex((candidate) => candidate.port === port);
    return finding(
      'info',
      'LAT0011',
      object,
      `spec.ports[${i}]`,
      message('declare `appProtocol: tcp`, or name the port tcp-...,'),
    );
  }
  return {
    severity: 'info',
    code: 'LAT0011',
    object: '',
    file: 'mesh.yaml',
    line: 0,
    path: `services.${name}`,
    message: message('declare `protocol: tcp` in mesh.yaml, or name the port tcp-...,'),
  };
}
