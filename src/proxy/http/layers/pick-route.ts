// Decides what happens to a request: the first route of its host that matches, and by weight one of its destinations.
import type { Layer } from '../stack.js';
import { pickDestination } from '../route-table.js';

export const pickRoute: Layer = {
  onRequest(exchange) {
    const { request, environment, settings } = exchange;
    if (request.method === 'CONNECT' && !settings.takesConnect) {
      exchange.fail({ kind: 'not-allowed', method: request.method });
      return false;
    }
    if (request.upgrade !== undefined && !settings.upgrades.has(request.upgrade)) request.upgrade = undefined;
    const table = environment.routes();
    const host = table?.findHost(request.authority);
    const route = host?.routes.find((candidate) => candidate.matches(request));
    if (route === undefined) {
      exchange.fail({ kind: 'no-route', hostKnown: host !== undefined });
      return false;
    }
    exchange.route = route;
    if (route.action.kind === 'forward') exchange.destination = pickDestination(route.action, environment.random);
    return true;
  },
};
