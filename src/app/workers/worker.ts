// One worker of a data plane of several processes: a data plane like any other, but for its ports.
import type { Socket } from 'node:net';
import type { WorkerPlace } from '../../proxy/workload-proxy.js';
import { runProxy } from '../proxy.js';
import { WorkerPorts } from './worker-ports.js';
import type { FromWorker, ToWorker } from './worker-messages.js';

/** Runs a worker until the process that shares its ports goes away. */
export function runWorker(send: (message: FromWorker) => void): (message: ToWorker, socket?: Socket) => void {
  const ports = new WorkerPorts(send);
  let place: WorkerPlace | undefined;
  const proxy = runProxy(send, () => place);
  return (message, socket) => {
    switch (message.kind) {
      case 'worker':
        place = {
          index: message.index,
          createServer: () => ports.createServer(),
          ticketSecret: Buffer.from(message.ticketSecret, 'base64'),
        };
        break;
      case 'workloads':
        proxy(message);
        break;
      default:
        ports.receive(message, socket);
    }
  };
}
