// The mesh's own processes as commands, for whoever types one of them.
import { Command } from 'commander';
import { serveRole } from './serve-role.js';

export function roleCommands(): Command[] {
  return [
    new Command('control').description('control plane; started by `lateen up`').action(() => serveRole('control')),
    new Command('proxy').description('data plane; started by `lateen up`').action(() => serveRole('proxy')),
    new Command('worker')
      .description('one process of a data plane; started by `lateen proxy`')
      .action(() => serveRole('worker')),
  ];
}
