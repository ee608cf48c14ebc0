// Errors that a user can cause or mend: one sentence of what, where, why and what to do, and the exit code it ends with.

/** A problem to be told to the user as it stands, without a stack. */
export class UserError extends Error {
  override readonly name = 'UserError';
  /** Process exit code: 1 found problems (default), 2 wrong use. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system error such as ENOENT, or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
