// The mesh's own processes, which `up` starts: they take their orders from the channel that it leaves open for them.
import { Command } from 'commander';
import { UserError } from '../util/errors.js';
import { prepareImport } from '../util/open-files.js';

export function roleCommands(): Command[] {
  return [
    new Command('control').description('control plane; started by `lateen up`').action(async () => {
      await prepareImport(import.meta.resolve('../app/control/control.js'));
      const { runControl } = await import('../app/control/control.js');
      serve('control', runControl);
    }),
    new Command('proxy').description('data plane; started by `lateen up`').action(async () => {
      await prepareImport(import.meta.resolve('../app/proxy.js'));
      const { runProxy } = await import('../app/proxy.js');
      serve('proxy', runProxy);
    }),
  ];
}

/** Joins a role to the supervisor's channel; when that closes the supervisor is gone, and so is the role. */
function serve<In, Out extends object>(
  name: string,
  run: (send: (message: Out) => void) => (message: In) => void,
): void {
  if (process.send === undefined)
    throw new UserError(`\`lateen ${name}\` is started by \`lateen up\`; it does not run on its own yet`, 2);
  const receive = run((message) => {
    // A role that cannot work says so and ends; whether another try makes sense is the supervisor's to decide.
    const isFatal = 'kind' in message && message.kind === 'fatal';
    if (process.connected) process.send!(message, () => isFatal && process.exit(1));
  });
  process.title = `lateen ${name}`;
  process.on('message', (message) => receive(message as In));
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
  process.on('SIGINT', () => undefined); // Ctrl-C is for the supervisor, which ends everything in order
}
