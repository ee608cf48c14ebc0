// `lateen get KIND [NAME]`: prints what a running mesh has.
import { Command, Option } from 'commander';
import type { Diagnostic } from '../api/diagnostic.js';
import { findKind, kinds } from '../api/kinds.js';
import { closestWord } from '../util/closest.js';
import { UserError } from '../util/errors.js';
import { fetchFromMesh, meshLocationOptions, type MeshLocation } from './mesh-client.js';
import { print, type Format } from './print.js';
import { formatTable } from './table.js';

interface GetOptions extends MeshLocation {
  readonly output: Format;
  readonly namespace?: string;
}

/** What `get workloads` and run.json hold for each. */
interface WorkloadRow {
  readonly name: string;
  readonly namespace: string;
  readonly service: string;
  readonly version: string;
  readonly spiffeId: string;
  readonly pid: number | null;
  readonly app: { readonly address: string; readonly port: number } | null;
  readonly inbound: { readonly address: string; readonly port: number } | null;
  readonly ready: boolean;
}

interface ObjectRow {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly status: {
    readonly conditions: readonly { readonly status: string; readonly message: string }[];
    readonly origin: string;
  };
}

export function getCommand(): Command {
  const kindList = ['workloads', 'diagnostics', ...kinds.map((kind) => kind.names[0]!)].join(', ');
  return meshLocationOptions(
    new Command('get')
      .description('print what a running mesh has')
      .argument('<kind>', `one of ${kindList}, or a short form (vs, dr, pa)`)
      .argument('[name]', 'only the one of that name')
      .option('-n, --namespace <namespace>', 'only of that namespace')
      .addOption(
        new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table'),
      )
      .addHelpText(
        'after',
        '\nExamples:\n  lateen get workloads\n  lateen get virtualservice reviews -n shop -o yaml\n  lateen get diagnostics -o json\n\nExit code: 0 found, 1 none of that name or, with diagnostics, errors among them, 2 wrong use.',
      ),
  ).action(async (kind: string, name: string | undefined, options: GetOptions) => {
    process.exitCode = await get(kind, name, options);
  });
}

async function get(kindName: string, name: string | undefined, options: GetOptions): Promise<number> {
  const lower = kindName.toLowerCase();
  if (['workloads', 'workload', 'wl'].includes(lower)) return getWorkloads(name, options);
  if (['diagnostics', 'diagnostic', 'diag'].includes(lower)) return getDiagnostics(name, options);
  const kind = findKind(kindName);
  if (kind === undefined) {
    const known = ['workloads', 'diagnostics', ...kinds.flatMap((candidate) => candidate.names)];
    const guess = closestWord(lower, known);
    throw new UserError(
      `there is no kind ${kindName}${guess === undefined ? '' : `; did you mean ${guess}?`} (\`lateen get --help\` lists them)`,
      2,
    );
  }
  const list = (await fetchFromMesh(options, `/api/objects/${kind.names[0]}`)) as { items: ObjectRow[] };
  const items = list.items.filter(
    ({ metadata }) =>
      (name === undefined || metadata.name === name) &&
      (options.namespace === undefined || metadata.namespace === options.namespace),
  );
  print(options.output, { ...list, items }, () =>
    formatTable(
      ['NAMESPACE', 'NAME', 'ACCEPTED', 'ORIGIN', 'MESSAGE'],
      items.map(({ metadata, status }) => [
        metadata.namespace,
        metadata.name,
        status.conditions[0]?.status ?? '',
        status.origin,
        status.conditions[0]?.message ?? '',
      ]),
    ),
  );
  return found(items.length, name, kind.kind);
}

async function getWorkloads(name: string | undefined, options: GetOptions): Promise<number> {
  const all = (await fetchFromMesh(options, '/api/workloads')) as WorkloadRow[];
  const rows = all.filter(
    (row) =>
      (name === undefined || row.name === name || row.service === name) &&
      (options.namespace === undefined || row.namespace === options.namespace),
  );
  const place = (at: { address: string; port: number } | null) => (at === null ? '-' : `${at.address}:${at.port}`);
  print(options.output, rows, () =>
    formatTable(
      ['NAMESPACE', 'NAME', 'VERSION', 'READY', 'PID', 'APPLICATION', 'INBOUND', 'IDENTITY'],
      rows.map((row) => [
        row.namespace,
        row.name,
        row.version || '-',
        row.ready ? 'yes' : 'no',
        String(row.pid ?? '-'),
        place(row.app),
        place(row.inbound),
        row.spiffeId,
      ]),
    ),
  );
  return found(rows.length, name, 'workload');
}

async function getDiagnostics(name: string | undefined, options: GetOptions): Promise<number> {
  const all = (await fetchFromMesh(options, '/api/diagnostics')) as Diagnostic[];
  const rows = all.filter(({ object }) => {
    const [, namespace, objectName] = object.split('/');
    return (
      (name === undefined || objectName === name) &&
      (options.namespace === undefined || namespace === options.namespace)
    );
  });
  print(options.output, rows, () =>
    rows.length === 0
      ? `no diagnostics${name === undefined && options.namespace === undefined ? '' : ' for these'}: everything is in force as written\n`
      : formatTable(
          ['SEVERITY', 'CODE', 'WHERE', 'OBJECT', 'FIELD', 'MESSAGE'],
          rows.map((row) => [
            row.severity,
            row.code,
            row.line > 0 ? `${row.file}:${row.line}` : row.file,
            row.object,
            row.path,
            row.message,
          ]),
        ),
  );
  return rows.some(({ severity }) => severity === 'error') ? 1 : 0;
}

function found(count: number, name: string | undefined, what: string): number {
  if (count > 0 || name === undefined) return 0;
  process.stderr.write(`lateen: there is no ${what} named ${name}\n`);
  return 1;
}
