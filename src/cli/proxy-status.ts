// `lateen proxy-status [WORKLOAD]`: prints how far each proxy has come with the configuration that it should have.
import { Command, Option } from 'commander';
import type { ProxyStatusView } from '../admin/mesh-view.js';
import { UserError } from '../util/errors.js';
import { fetchFromMesh, meshLocationOptions, type MeshLocation } from './mesh-client.js';
import { print, type Format } from './print.js';
import { formatTable } from './table.js';

interface ProxyStatusOptions extends MeshLocation {
  readonly output: Format;
  readonly namespace?: string;
}

/** Types of resources, in the order of the columns. */
const columns = ['listener', 'routes', 'cluster', 'endpoints'] as const;

export function proxyStatusCommand(): Command {
  return meshLocationOptions(
    new Command('proxy-status')
      .alias('ps')
      .description('print how far proxies have come with their configuration')
      .argument('[workload]', 'only that workload')
      .option('-n, --namespace <namespace>', 'only of that namespace')
      .addOption(
        new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table'),
      )
      .addHelpText(
        'after',
        '\nEach cell says how many resources of the type a proxy should have, and their state:\n  synced   they serve\n  waiting  they were taken, and wait for others before they serve\n  stale    an older version serves, and the newer one is on its way\n  refused  the proxy cannot use one; see ERROR, and what was in force before serves\n  unknown  the proxy is not connected, or has told nothing yet\n\nExamples:\n  lateen proxy-status\n  lateen proxy-status reviews-v1-0 -n shop -o json\n\nExit code: 0 all synced, 1 not all, or no such workload, 2 wrong use.',
      ),
  ).action(async (name: string | undefined, options: ProxyStatusOptions) => {
    process.exitCode = await proxyStatus(name, options);
  });
}

async function proxyStatus(name: string | undefined, options: ProxyStatusOptions): Promise<number> {
  const all = (await fetchFromMesh(options, '/api/proxy-status')) as ProxyStatusView[];
  const rows = all.filter(
    (row) =>
      (name === undefined || row.name === name) &&
      (options.namespace === undefined || row.namespace === options.namespace),
  );
  if (rows.length === 0 && name !== undefined)
    throw new UserError(`there is no workload named ${name} (\`lateen get workloads\` lists them)`);
  print(options.output, rows, () =>
    formatTable(
      ['NAMESPACE', 'NAME', 'CONNECTED', 'LISTENERS', 'ROUTES', 'CLUSTERS', 'ENDPOINTS', 'CERTIFICATE UNTIL', 'ERROR'],
      rows.map((row) => [
        row.namespace,
        row.name,
        row.processes === 0 ? 'no' : row.processes === 1 ? 'yes' : `${row.processes} processes`,
        ...columns.map((type) => cellOf(row, type)),
        row.certificateEnds ?? '-',
        row.errors.map(({ type, message }) => `${type}: ${message}`).join('; ') || '-',
      ]),
    ),
  );
  return rows.every(({ types }) => types.every(({ state }) => state === 'synced')) ? 0 : 1;
}

function cellOf({ types }: ProxyStatusView, type: string): string {
  const found = types.find((one) => one.type === type);
  return found === undefined ? '-' : `${found.wanted} ${found.state}`;
}
