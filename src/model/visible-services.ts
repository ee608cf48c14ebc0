// The services that clients of one namespace see, one for each host.
import { memoize } from '../util/memoize.js';
import type { Service } from './service.js';
import type { ServiceIndex } from './snapshot.js';
import { isVisibleIn } from './visibility.js';

/**
 * Of several services with one host that of mesh.yaml counts, then that of a Service object, then the ServiceEntry of the
 * client's own namespace, then the oldest. The same index for all where nothing but mesh.yaml has services.
 */
export const visibleServices = memoize((services: ServiceIndex, namespace: string): ServiceIndex => {
  if (services.all.every(({ entry, object }) => entry === undefined && object === undefined)) return services;
  const byHost = new Map<string, Service>();
  for (const service of services.all) {
    const { host } = service;
    if (!isVisibleIn(namespace, service.namespace, exportToOf(service))) continue;
    const other = byHost.get(host);
    const isNearer = other?.entry !== undefined && other.namespace !== namespace && service.namespace === namespace;
    if (other === undefined || isNearer) byHost.set(host, service);
  }
  return { all: services.all.filter((service) => byHost.get(service.host) === service), byHost };
});

/** Services of mesh.yaml are seen everywhere. */
function exportToOf({ entry, object }: Service): readonly string[] | undefined {
  if (entry !== undefined) return entry.spec.exportTo;
  return object?.annotations['networking.istio.io/exportTo']?.split(',').map((part) => part.trim());
}
