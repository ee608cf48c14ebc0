// The mesh's own processes, which `up` starts: they take their orders from the channel that it leaves open for them. Nothing
// of the command line is imported here, because a proxy would keep it in memory for as long as it lives.
import type { Socket } from 'node:net';
import type { FromDataPlane } from '../app/role-messages.js';
import { UserError } from '../util/errors.js';
import { prepareImport } from '../util/open-files.js';

const roles = {
  control: async () => {
    await prepareImport(import.meta.resolve('../app/control/control.js'));
    const { runControl } = await import('../app/control/control.js');
    serve('control', runControl);
  },
  proxy: async () => {
    const [, , , option, workers] = process.argv;
    if (option === '--workers') {
      await prepareImport(import.meta.resolve('../app/workers/worker-pool.js'));
      const { WorkerPool } = await import('../app/workers/worker-pool.js');
      const pool = new WorkerPool(Number(workers));
      serve('proxy', pool.run, () => pool.stop());
      return;
    }
    await prepareImport(import.meta.resolve('../app/proxy.js'));
    const { runProxy } = await import('../app/proxy.js');
    serve('proxy', (send: (message: FromDataPlane) => void) => runProxy(send));
  },
  worker: async () => {
    await prepareImport(import.meta.resolve('../app/workers/worker.js'));
    const { runWorker } = await import('../app/workers/worker.js');
    serve('worker', runWorker);
  },
};

export type RoleName = keyof typeof roles;

/** The role that a command line names, where it is `up` that started it: it alone leaves a channel open. */
export function findRole(argv: readonly string[]): RoleName | undefined {
  const name = argv[2];
  return process.send !== undefined && name !== undefined && Object.hasOwn(roles, name)
    ? (name as RoleName)
    : undefined;
}

/**
 * Takes a role in a running mesh.
 * @throws UserError where nobody gives orders
 */
export async function serveRole(name: RoleName): Promise<void> {
  if (process.send === undefined)
    throw new UserError(`\`lateen ${name}\` is started by \`lateen up\`; it does not run on its own yet`, 2);
  await roles[name]();
}

/**
 * Joins a role to the supervisor's channel; when that closes the supervisor is gone, and so is the role.
 * @param end what to wait for when asked to end
 */
function serve<In, Out extends object>(
  name: string,
  run: (send: (message: Out) => void) => (message: In, socket?: Socket) => void,
  end: () => Promise<void> = () => Promise.resolve(),
): void {
  const receive = run((message) => {
    // A role that cannot work says so and ends; whether another try makes sense is the supervisor's to decide.
    const isFatal = 'kind' in message && message.kind === 'fatal';
    if (process.connected) process.send!(message, () => isFatal && process.exit(1));
  });
  process.title = `lateen ${name}`;
  process.on('message', (message, socket) => receive(message as In, socket as Socket | undefined));
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => void end().then(() => process.exit(0)));
  process.on('SIGINT', () => undefined); // Ctrl-C is for the supervisor, which ends everything in order
}
