// Measures rows: pairs that speak the same run at once and take turns in every round, so that a moment in which the machine is
// busy with something else meets all of them alike.
import { backendPorts } from './backends.js';
import { mustBeFree, type Chain, type Pair, type Workspace } from './pair.js';
import { direct } from './pairs/direct.js';
import type { RowResult } from './results.js';
import type { Row, Settings, Subject, Values } from './rows/row.js';

export interface Plan {
  readonly pairs: readonly Pair[];
  readonly rows: readonly Row[];
  readonly rounds: number;
  readonly settings: Settings;
  readonly onProgress: (line: string) => void;
}

interface Measured {
  readonly row: Row;
  readonly rounds: Map<string, Values>[];
  readonly leftOut: Map<string, string>;
}

/** Ports of the pairs: ten apart. */
const firstPort = 18100;

export async function measureAll(plan: Plan, workspace: Workspace): Promise<RowResult[]> {
  const measured = plan.rows.map((row): Measured => ({ row, rounds: [], leftOut: new Map() }));
  for (const group of groupsOf(measured)) {
    if (group[0]!.row.alone === true) await measureAlone(plan, workspace, group);
    else await measureTogether(plan, workspace, group);
  }
  return measured.map(({ row, rounds, leftOut }) => ({
    row,
    rounds,
    leftOut: [...leftOut].map(([pair, why]) => ({ pair, why })),
  }));
}

/** Rows that the same running pairs can be measured by. */
function groupsOf(measured: readonly Measured[]): Measured[][] {
  const groups = new Map<string, Measured[]>();
  for (const one of measured) {
    const key = one.row.alone === true ? one.row.name : `${one.row.protocol} ${backendOf(one.row)}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

function backendOf({ protocol, backend }: Row): number {
  return backend ?? backendPorts[protocol === 'tcp' ? 'http1' : protocol];
}

async function measureTogether(plan: Plan, workspace: Workspace, group: readonly Measured[]): Promise<void> {
  const subjects = new Map<Pair, Subject>();
  try {
    for (const pair of plan.pairs) await tryStart(plan, workspace, pair, group, subjects);
    for (let round = 0; round < plan.rounds; round++)
      for (const measured of group) {
        const results = new Map<string, Values>();
        measured.rounds.push(results);
        // Another pair begins each round: what comes first meets a colder machine.
        const pairs = [...subjects.keys()];
        const start = pairs.length === 0 ? 0 : round % pairs.length;
        for (const pair of [...pairs.slice(start), ...pairs.slice(0, start)])
          await measureOne(plan, measured, pair, subjects.get(pair)!, results);
      }
  } finally {
    await Promise.all([...subjects.values()].map(({ running }) => running.stop()));
  }
}

async function measureAlone(plan: Plan, workspace: Workspace, group: readonly Measured[]): Promise<void> {
  const [measured] = group;
  const results = new Map<string, Values>();
  measured!.rounds.push(results);
  for (const pair of plan.pairs) {
    const subjects = new Map<Pair, Subject>();
    await tryStart(plan, workspace, pair, group, subjects);
    const subject = subjects.get(pair);
    if (subject === undefined) continue;
    try {
      await measureOne(plan, measured!, pair, subject, results);
    } finally {
      await subject.running.stop();
    }
  }
}

/** A pair that cannot be started is left out and named; the others go on. */
async function tryStart(
  plan: Plan,
  workspace: Workspace,
  pair: Pair,
  group: readonly Measured[],
  subjects: Map<Pair, Subject>,
): Promise<void> {
  const { row } = group[0]!;
  const leaveOut = (why: string) => {
    for (const { leftOut } of group) leftOut.set(pair.name, why);
  };
  const why = pair.whyNot(row.protocol);
  if (why !== undefined) return leaveOut(why);
  const port = firstPort + plan.pairs.indexOf(pair) * 10;
  const chain: Chain = { protocol: row.protocol, client: port + 1, server: port + 2, backend: backendOf(row) };
  try {
    if (pair !== direct) await Promise.all([mustBeFree(chain.client), mustBeFree(chain.server)]);
    const running = await pair.start(workspace, chain);
    subjects.set(pair, { running, chain, entrance: pair === direct ? chain.backend : chain.client });
  } catch (error) {
    plan.onProgress(`${pair.name} did not start: ${String(error)}`);
    leaveOut(`it did not start: ${firstLine(error)}`);
  }
}

async function measureOne(
  plan: Plan,
  { row, rounds, leftOut }: Measured,
  pair: Pair,
  subject: Subject,
  results: Map<string, Values>,
): Promise<void> {
  if (pair === direct && row.isOfProxiesOnly === true) return;
  try {
    const values = await row.measure(subject, plan.settings);
    results.set(pair.name, values);
    const shown = row.figures.map(({ key, title, digits }) => `${title} ${values[key]!.toFixed(digits)}`);
    plan.onProgress(`round ${rounds.length}  ${row.name.padEnd(15)}  ${pair.name.padEnd(10)}  ${shown.join('  ')}`);
  } catch (error) {
    plan.onProgress(
      `round ${rounds.length}  ${row.name.padEnd(15)}  ${pair.name.padEnd(10)}  FAILED: ${String(error)}`,
    );
    leftOut.set(pair.name, `it failed: ${firstLine(error)}`);
  }
}

function firstLine(error: unknown): string {
  return String(error).split('\n')[0]!;
}
