// Which port of which service a listener of a proxy stands for.
import type { Service, ServicePort } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import { visibleServices } from '../model/visible-services.js';
import type { Workload } from '../model/workload.js';
import { connectListenerName, listenerName } from './names.js';

export interface ListenerPort {
  readonly direction: 'inbound' | 'outbound';
  readonly service: Service;
  readonly port: ServicePort;
}

/** Listeners of a workload's proxy by name; that for every HTTP host stands for none. */
export function listenerPorts(snapshot: Snapshot, workload: Workload): ReadonlyMap<string, ListenerPort> {
  const found = new Map<string, ListenerPort>();
  const add = (name: string, direction: ListenerPort['direction'], service: Service | undefined, port: number) => {
    const declared = service?.ports.find((candidate) => candidate.port === port);
    if (declared !== undefined) found.set(name, { direction, service: service!, port: declared });
  };
  const visible = visibleServices(snapshot.services, workload.namespace);
  const own = snapshot.services.byHost.get(workload.serviceHost);
  for (const { port, inbound } of workload.ports)
    add(listenerName(inbound.address, inbound.port), 'inbound', own, port);
  for (const { host, port, listen } of workload.upstreams)
    add(listenerName(listen.address, listen.port), 'outbound', visible.byHost.get(host), port);
  for (const service of visible.all)
    for (const { port } of service.ports) add(connectListenerName(service.host, port), 'outbound', service, port);
  return found;
}
