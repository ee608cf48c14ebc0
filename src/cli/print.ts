// Prints an answer in the form that was asked for.
import { stringify } from 'yaml';

export type Format = 'table' | 'json' | 'yaml';

/** @param table called where it is a table that was asked for */
export function print(format: Format, value: unknown, table: () => string): void {
  if (format === 'json') process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  else if (format === 'yaml') process.stdout.write(stringify(value));
  else process.stdout.write(table());
}
