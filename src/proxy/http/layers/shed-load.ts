// Refuses requests while the process has hardly any memory left, so that those under way can be finished.
import type { MemoryPressure } from '../../net/memory-pressure.js';
import type { Layer } from '../stack.js';

/** @param pressure on the memory of this process */
export function shedLoad(pressure: MemoryPressure): Layer {
  return {
    onRequest(exchange) {
      if (!pressure.refusesRequests) return true;
      exchange.fail({ kind: 'overload' });
      return false;
    },
  };
}
