// The project's own log of what its processes do, one line an event on stderr; LATEEN_LOG sets the level.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

const rank: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes lines such as `warn  control  could not read a file  path=/a/b`. */
export class Logger {
  readonly #scope: string;
  readonly #level: number;
  readonly #write: (line: string) => void;

  constructor(scope: string, level: LogLevel = levelFromEnvironment(), write: (line: string) => void = writeToStderr) {
    this.#scope = scope;
    this.#level = rank[level];
    this.#write = write;
  }

  debug(message: string, fields?: LogFields): void {
    this.#log('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log('error', message, fields);
  }

  #log(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (rank[level] < this.#level) return;
    let line = `${level.padEnd(5)} ${this.#scope}  ${printable(message)}`;
    for (const [name, value] of Object.entries(fields ?? {}))
      if (value !== undefined) line += `  ${name}=${printable(String(value))}`;
    this.#write(`${line}\n`);
  }
}

/** The level that LATEEN_LOG asks for; `warn` where it asks for nothing that exists. */
export function levelFromEnvironment(): LogLevel {
  const wanted = process.env['LATEEN_LOG'];
  return wanted !== undefined && Object.hasOwn(rank, wanted) ? (wanted as LogLevel) : 'warn';
}

/** Text from outside made harmless for a terminal: control characters become escapes. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function writeToStderr(line: string): void {
  process.stderr.write(line);
}
