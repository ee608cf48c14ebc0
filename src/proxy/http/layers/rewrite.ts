// Changes path and authority as the route says, and remembers the path that was asked for.
import type { Layer } from '../stack.js';

export const rewrite: Layer = {
  onRequest(exchange) {
    const { request, route, destination } = exchange;
    const action = route!.action;
    if (action.kind === 'forward' && action.rewritePath !== undefined) {
      exchange.originalPath = request.path;
      request.path = action.rewritePath(request.path);
      if (request.path[0] !== '/') request.path = `/${request.path}`;
      request.headers.push('x-envoy-original-path', exchange.originalPath);
    }
    if (destination?.authority !== undefined) request.authority = destination.authority;
    return true;
  },
};
