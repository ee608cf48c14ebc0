// `lateen up DIR`: runs a mesh on this machine until Ctrl-C.
import { Command, Option } from 'commander';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { RunningMesh } from '../app/up/up.js';
import { UserError } from '../util/errors.js';
import { prepareImport } from '../util/open-files.js';
import { createReporter } from './up-output.js';

export function upCommand(): Command {
  return new Command('up')
    .description('run the mesh of a folder on this machine')
    .argument('[dir]', 'folder with mesh.yaml and the objects of the mesh', '.')
    .option('--isolate', 'give every workload a data-plane process of its own')
    .addOption(
      new Option('--workers <n>', 'data-plane processes that share the ports; `auto`: one for each core')
        .default(1)
        .argParser(parseWorkers),
    )
    .addOption(new Option('--netns', 'run workloads in network namespaces').hideHelp())
    .addHelpText(
      'after',
      `\nExamples:\n  lateen up examples/shop\n  lateen up --isolate .\n  lateen up --workers auto .\n\nStop it with Ctrl-C: requests under way end first; a second Ctrl-C does not wait.\nOther commands find the mesh by its folder: lateen get workloads -C examples/shop`,
    )
    .action(async (directory: string, options: { isolate?: boolean; workers: number; netns?: boolean }) => {
      if (options.netns === true) throw new UserError('--netns is not supported yet; leave it out', 2);
      await prepareImport(import.meta.resolve('../app/up/up.js'));
      const { startMesh } = await import('../app/up/up.js');
      const reporter = createReporter();
      const program = fileURLToPath(new URL('../main.js', import.meta.url));
      const stop = new StopSignals();
      const { workers } = options;
      const mesh = await startMesh({ directory, isolate: options.isolate === true, workers, reporter, program });
      await stop.waitAndStop(mesh);
      reporter.close();
    });
}

/** More would cost memory for nothing on any machine. */
const mostWorkers = 128;

function parseWorkers(text: string): number {
  if (text === 'auto' || text === '0') return availableParallelism();
  const count = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (!(count <= mostWorkers))
    throw new UserError(
      `--workers takes a number from 1 to ${mostWorkers}, or auto for one for each core; not ${text || 'nothing'}`,
      2,
    );
  return count;
}

/** Ctrl-C and SIGTERM end in order; the second one at once. */
class StopSignals {
  #count = 0;
  #onSignal: (() => void) | undefined;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        this.#count++;
        this.#onSignal?.();
      });
  }

  async waitAndStop(mesh: RunningMesh): Promise<void> {
    if (this.#count === 0) await this.#next();
    const patient = mesh.stop(true);
    const impatient = (async () => {
      if (this.#count < 2) await this.#next();
      await mesh.stop(false);
    })();
    await Promise.race([patient, impatient]);
  }

  #next(): Promise<void> {
    return new Promise((resolve) => (this.#onSignal = resolve));
  }
}
