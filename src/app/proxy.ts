// The data plane of `lateen up`: proxies for the workloads that the supervisor names. It is a child of the supervisor, or one of
// several workers of such a child, and ends with it.
import { isAbsolute, join } from 'node:path';
import { DataPlane } from '../proxy/data-plane.js';
import type { WorkerPlace } from '../proxy/workload-proxy.js';
import { Logger } from '../util/logger.js';
import type { FromDataPlane, ToDataPlane } from './role-messages.js';
import { version } from '../util/version.js';

/**
 * Runs the data plane until the supervisor goes away.
 * @param worker its place among others, looked up at the first order; undefined where it serves alone
 */
export function runProxy(
  send: (message: FromDataPlane) => void,
  worker: () => WorkerPlace | undefined = () => undefined,
): (message: ToDataPlane) => void {
  let dataPlane: DataPlane | undefined;
  return (message) => {
    dataPlane ??= new DataPlane({
      control: `unix:${message.socketPath}`,
      version,
      log: new Logger('proxy'),
      resolveLogPath: (path) => (isAbsolute(path) ? path : join(message.directory, path)),
      onState: (state) => send({ kind: 'state', ...state }),
      onEnded: (key) => send({ kind: 'ended', key }),
      worker: worker(),
    });
    const { drain } = message;
    if (drain !== undefined) {
      const ending = dataPlane;
      const drained =
        drain.step === 'close'
          ? ending.drain(drain.longestMs).then(() => ending.close())
          : ending.quieten(drain.step === 'callers' ? drain.callers : [], drain.longestMs);
      void drained.then(() => send({ kind: 'drained' }));
    } else dataPlane.setWorkloads(message.workloads);
  };
}
