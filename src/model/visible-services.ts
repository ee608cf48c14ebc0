// The services that clients of one namespace see, one for each host.
import { memoize } from '../util/memoize.js';
import type { Service } from './service.js';
import type { ServiceIndex } from './snapshot.js';
import { isVisibleIn } from './visibility.js';

/**
 * Of several services with one host that of mesh.yaml counts, then the one of the client's own namespace, then the oldest;
 * a ServiceEntry is seen where its exportTo says. The same index for all where there are no ServiceEntries.
 */
export const visibleServices = memoize((services: ServiceIndex, namespace: string): ServiceIndex => {
  if (services.all.every(({ entry }) => entry === undefined)) return services;
  const byHost = new Map<string, Service>();
  for (const service of services.all) {
    const { entry, host } = service;
    if (entry !== undefined && !isVisibleIn(namespace, entry.namespace, entry.spec.exportTo)) continue;
    const other = byHost.get(host);
    const isNearer = other?.entry !== undefined && other.namespace !== namespace && service.namespace === namespace;
    if (other === undefined || isNearer) byHost.set(host, service);
  }
  return { all: services.all.filter((service) => byHost.get(service.host) === service), byHost };
});
