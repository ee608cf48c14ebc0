// Changes path and authority as the route says, and remembers the path that was asked for.
import { setHeader } from '../message.js';
import type { Layer } from '../stack.js';

export const rewrite: Layer = {
  onRequest(exchange) {
    const { request, route, destination } = exchange;
    const action = route!.action;
    if (action.kind === 'forward' && action.rewritePath !== undefined) {
      exchange.originalPath = request.path;
      request.path = action.rewritePath(request.path);
      if (request.path[0] !== '/') request.path = `/${request.path}`;
      setHeader(request.headers, 'x-envoy-original-path', exchange.originalPath); // in place of what a caller claims
    }
    if (destination?.authority !== undefined) request.authority = destination.authority;
    return true;
  },
};
