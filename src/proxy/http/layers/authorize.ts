// Asks the policies of the listener whether a request may pass, and answers the ones that may not.
import { countDenial } from '../../authorization/count-denial.js';
import type { Layer } from '../stack.js';

export const authorize: Layer = {
  onRequest(exchange) {
    const { settings, connection, request, environment } = exchange;
    const denial = settings.policies!.findDenial(connection, request);
    if (denial === undefined) return true;
    countDenial(environment, denial, 'http');
    exchange.fail({ kind: 'denied', denial });
    return false;
  },
};
