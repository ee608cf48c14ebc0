// Keeps a share of the requests back, and answers a share of them instead of forwarding, as their route says (Envoy's fault
// filter). What is delayed and aborted is answered after the delay.
import type { FaultConfig } from '../../config/route-filters.js';
import type { Exchange } from '../exchange.js';
import { addResponseFlag } from '../response-flags.js';
import type { Layer } from '../stack.js';

const abortText = 'fault filter abort';

export const injectFault = {
  onRequest(exchange) {
    const route = exchange.route!;
    // Only what would be forwarded is hindered, as in Envoy.
    if (route.fault === undefined || route.action.kind !== 'forward') return true;
    return inject(exchange, route.fault);
  },
  onComplete(exchange) {
    if (exchange.delayTimer !== undefined) clearTimeout(exchange.delayTimer);
    if (exchange.wasDelayed) exchange.responseFlags = addResponseFlag(exchange.responseFlags, 'DI');
  },
} satisfies Layer;

function inject(exchange: Exchange, fault: FaultConfig): boolean {
  const { random } = exchange.environment;
  if (fault.delayMs > 0 && random() < fault.delayFraction) {
    exchange.wasDelayed = true;
    exchange.delayTimer = setTimeout(goOn, fault.delayMs, exchange, fault);
    return false;
  }
  return !abort(exchange, fault);
}

function goOn(exchange: Exchange, fault: FaultConfig): void {
  exchange.delayTimer = undefined;
  if (!abort(exchange, fault)) exchange.continueBehind(injectFault);
}

function abort(exchange: Exchange, fault: FaultConfig): boolean {
  const { environment, destination } = exchange;
  if (environment.random() >= fault.abortFraction) return false;
  exchange.cluster = environment.findCluster(destination?.cluster ?? ''); // it is counted for the service that it was meant for
  exchange.responseFlags = 'FI';
  exchange.responseCodeDetails = 'fault_filter_abort';
  exchange.reply(fault.abortStatus ?? 200, [], abortText, fault.abortGrpcStatus);
  return true;
}
