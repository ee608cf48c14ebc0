#!/usr/bin/env node
// The program `lateen`: hands the command line to the commands.

// Before anything else, in every process: Node would answer this signal by opening its inspector, and with it every key.
process.on('SIGUSR1', () => undefined);

const { prepareImport } = await import('./util/open-files.js');
const { findRole, serveRole } = await import('./cli/serve-role.js');
const role = findRole(process.argv);
if (role !== undefined) await serveRole(role);
else {
  await prepareImport(import.meta.resolve('./cli/cli.js'));
  const { runCli } = await import('./cli/cli.js');
  process.exitCode = await runCli(process.argv);
}
