// Reads formats with command operators (`text %NAME(argument):length% text`), whatever the operators mean.

/** An operator as it is written. */
export interface CommandOperator {
  readonly name: string;
  readonly argument: string | undefined;
  /** Most characters of the value. */
  readonly length: number | undefined;
}

/** A format that cannot be read; the message completes "the format ...". */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/** Literals and operators in turn; `%%` is a percent sign. */
export function parseCommandFormat(format: string): (string | CommandOperator)[] {
  const parts: (string | CommandOperator)[] = [];
  let literal = '';
  for (let at = 0; at < format.length;) {
    if (format[at] !== '%') {
      const next = format.indexOf('%', at);
      literal += format.slice(at, next < 0 ? undefined : next);
      at = next < 0 ? format.length : next;
    } else if (format[at + 1] === '%') {
      literal += '%';
      at += 2;
    } else {
      const match = /^%([A-Z_0-9]+)(?:\(([^)]*)\))?(?::(\d+))?%/.exec(format.slice(at));
      if (match === null)
        throw new FormatError(`has a % at position ${at} that begins no operator; write %% for a percent sign`);
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push({
        name: match[1]!,
        argument: match[2],
        length: match[3] === undefined ? undefined : Number(match[3]),
      });
      at += match[0].length;
    }
  }
  if (literal !== '') parts.push(literal);
  return parts;
}
