// The command line of `npm run bench`.
import { Command, InvalidArgumentError } from 'commander';

export interface Options {
  readonly only?: string;
  readonly rows?: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly memorySeconds: number;
  readonly connections: number;
  readonly write?: string;
  readonly limit?: number;
}

interface Given extends Partial<Options> {
  readonly quick?: boolean;
}

/** What stands where nothing is said, and with `--quick`: enough to see that everything works. */
const usual = { rounds: 3, seconds: 8, memorySeconds: 60, connections: 64 };
const quick = { rounds: 1, seconds: 2, memorySeconds: 4, connections: 64 };
/** The row that `--limit` is about. */
export const limitedRow = 'h1-small';

function positive(value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new InvalidArgumentError('must be a number above 0');
  return number;
}

export function readOptions(argv: readonly string[], pairs: readonly string[], rows: readonly string[]): Options {
  const given = new Command('bench')
    .description('CPU, latency and memory of a pair of proxies with mTLS between, beside its peers')
    .option('--only <names>', `only these pairs, by comma (${pairs.join(', ')})`)
    .option('--rows <names>', `only these rows, by comma (${rows.join(', ')})`)
    .option('--rounds <number>', `how often everything is measured (default ${usual.rounds})`, positive)
    .option('--seconds <number>', `how long each measurement takes (default ${usual.seconds})`, positive)
    .option('--memory-seconds <number>', `load before memory is read (default ${usual.memorySeconds})`, positive)
    .option('--connections <number>', `keep-alive connections of closed loops (default ${usual.connections})`, positive)
    .option('--quick', 'one short round of everything')
    .option('--write <file>', 'write the result there as Markdown, and a chart beside it')
    .option(
      '--limit <ratio>',
      `exit 1 where the median CPU of either side is above so much of envoy-h1's; measures ${limitedRow} unless rows are named`,
      positive,
    )
    .parse([...argv])
    .opts<Given>();
  const limited = given.limit !== undefined && given.rows === undefined ? { rows: limitedRow } : {};
  return { ...(given.quick === true ? quick : usual), ...given, ...limited };
}
