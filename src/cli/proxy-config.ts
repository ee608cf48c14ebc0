// `lateen proxy-config [KIND] WORKLOAD`: prints what a workload's proxy should have, and what it has learned of its ports.
import { Command, Option } from 'commander';
import type { ListenerView, ProxyConfigView } from '../admin/proxy-config-view.js';
import { closestWord } from '../util/closest.js';
import { UserError } from '../util/errors.js';
import { fetchFromMesh, meshLocationOptions, type MeshLocation } from './mesh-client.js';
import { print, type Format } from './print.js';
import { formatTable } from './table.js';

/** What can be printed alone, by the names that it may be called. */
export const proxyConfigKinds = ['listeners', 'routes', 'clusters', 'endpoints'] as const;
type Kind = (typeof proxyConfigKinds)[number];

interface ProxyConfigOptions extends MeshLocation {
  readonly output: Format;
  readonly namespace?: string;
}

export function proxyConfigCommand(): Command {
  return meshLocationOptions(
    new Command('proxy-config')
      .alias('pc')
      .description("print what a workload's proxy should have")
      .usage('[options] [listeners|routes|clusters|endpoints|all] WORKLOAD')
      .argument('<kind|workload>', 'what to print (default all), or the workload')
      .argument('[workload]', 'one of `lateen get workloads`')
      .option('-n, --namespace <namespace>', 'namespace of the workload, where the name alone is not enough')
      .addOption(
        new Option('-o, --output <format>', 'how to print; json and yaml have the whole resources')
          .choices(['table', 'json', 'yaml'])
          .default('table'),
      )
      .addHelpText(
        'after',
        '\nOf a port without a declared protocol LEARNED says what its last connections carried: http, http2, or bytes (client-first,\nserver-first). It decides how long a silent client is waited for, never how bytes are read.\n\nExamples:\n  lateen proxy-config reviews-v1-0\n  lateen proxy-config listeners client-0 -n shop\n  lateen pc clusters client-0 -o yaml\n\nExit code: 0 found, 1 no such workload, 2 wrong use.',
      ),
  ).action(async (first: string, second: string | undefined, options: ProxyConfigOptions) => {
    if (second === undefined) await printConfig(proxyConfigKinds, first, options);
    else await printConfig(kindsNamed(first), second, options);
  });
}

async function printConfig(kinds: readonly Kind[], workload: string, options: ProxyConfigOptions): Promise<void> {
  const { namespace, name } = await findWorkload(workload, options);
  const config = (await fetchFromMesh(options, `/api/proxy-config/${namespace}/${name}`)) as ProxyConfigView;
  const value = kinds.length === 1 ? resourcesOf(config, kinds[0]!) : config;
  print(options.output, value, () =>
    kinds.map((kind) => (kinds.length === 1 ? '' : `${kind.toUpperCase()}\n`) + tables[kind](config)).join('\n'),
  );
}

function kindsNamed(word: string): readonly Kind[] {
  const lower = word.toLowerCase();
  if (lower === 'all') return proxyConfigKinds;
  const kind = proxyConfigKinds.find((name) => name === lower || name === `${lower}s`);
  if (kind !== undefined) return [kind];
  const guess = closestWord(lower, [...proxyConfigKinds, 'all']);
  throw new UserError(
    `a proxy has no ${word}${guess === undefined ? '' : `; did you mean ${guess}?`} (${proxyConfigKinds.join(', ')} or all)`,
    2,
  );
}

/** Routes as they are sent stand in whole configurations. */
function resourcesOf(config: ProxyConfigView, kind: Kind): readonly unknown[] {
  return kind === 'routes' ? config.routeConfigurations : config[kind];
}

interface WorkloadName {
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
}

/** The workload of that name, or the only one of the service or the version that is called so. */
async function findWorkload(word: string, options: ProxyConfigOptions): Promise<WorkloadName> {
  const all = (await fetchFromMesh(options, '/api/workloads')) as WorkloadName[];
  const [name, namespace] = word.includes('.') ? [word.split('.')[0]!, word.split('.')[1]] : [word, options.namespace];
  const near = all.filter((one) => namespace === undefined || one.namespace === namespace);
  const exact = near.filter((one) => one.name === name);
  const found = exact.length > 0 ? exact : near.filter((one) => one.service === name || one.name === `${name}-0`);
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw new UserError(
      `${word} is several workloads: ${found.map((one) => `${one.name} -n ${one.namespace}`).join(', ')}; name one`,
    );
  if (proxyConfigKinds.some((kind) => kind === word))
    throw new UserError(`name a workload behind ${word} (\`lateen get workloads\` lists them)`, 2);
  const guess = closestWord(
    name,
    near.map((one) => one.name),
  );
  throw new UserError(
    `there is no workload named ${word}${guess === undefined ? '' : `; did you mean ${guess}?`} (\`lateen get workloads\` lists them)`,
  );
}

const tables: Readonly<Record<Kind, (config: ProxyConfigView) => string>> = {
  listeners: ({ listeners }) =>
    formatTable(
      ['ADDRESS', 'DIRECTION', 'SERVICE', 'DECLARED', 'LEARNED', 'SINCE', 'TAKES', 'CARRIES', 'TO'],
      listeners.flatMap((listener) =>
        listener.chains.map((chain) => [...listenerCells(listener), chain.match, chain.carries, chain.to]),
      ),
    ),
  routes: ({ routes }) =>
    formatTable(
      ['CONFIGURATION', 'DOMAIN', 'MATCH', 'TO', 'FROM'],
      routes.map(({ configuration, domains, match, to, source }) => [
        configuration,
        domains.length > 1 ? `${domains[0]} +${domains.length - 1}` : (domains[0] ?? ''),
        match,
        to,
        source ?? '-',
      ]),
    ),
  clusters: ({ clusters }) =>
    formatTable(
      ['NAME', 'HTTP', 'SECURITY', 'BALANCER', 'ENDPOINTS', 'FROM'],
      clusters.map(({ name, http, security, balancer, endpoints, source }) => [
        name,
        http,
        security,
        balancer,
        String(endpoints),
        source ?? '-',
      ]),
    ),
  endpoints: ({ endpoints }) =>
    formatTable(
      ['CLUSTER', 'ADDRESS', 'WEIGHT', 'SECURITY', 'WORKLOAD'],
      endpoints.map(({ cluster, address, weight, security, workload }) => [
        cluster,
        address,
        String(weight),
        security,
        workload ?? '-',
      ]),
    ),
};

function listenerCells({ address, direction, service, port, declared, learned, since }: ListenerView): string[] {
  return [
    address ?? 'CONNECT',
    direction,
    service === null ? '-' : `${service}:${port}`,
    declared ?? '-',
    learned ?? '-',
    since ?? '-',
  ];
}
