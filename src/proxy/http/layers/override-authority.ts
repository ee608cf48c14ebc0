// On a port that stands for one service every request is for that service, whatever host the application wrote.
import type { Layer } from '../stack.js';

export function overrideAuthority(authority: string): Layer {
  return {
    onRequest({ request }) {
      request.authority = authority;
      return true;
    },
  };
}
