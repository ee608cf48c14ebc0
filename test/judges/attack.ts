// Plays frames against a port with Python's `h2` family and reads what came back.
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { script, startTool } from './peers.js';
import type { Field, FrameStep } from './frame-steps.js';

/** How a connection is attacked. */
export interface Attack {
  readonly steps: readonly FrameStep[];
  /** Waits then for all answers, or for the end of the connection. */
  readonly until?: 'answers' | 'end';
  /** Seconds. */
  readonly within?: number;
  /** How many connections, one after another, do the same. */
  readonly connections?: number;
  /** False: SETTINGS and PING are not acknowledged. */
  readonly acknowledges?: boolean;
  /** False: what arrives gives no credit back. */
  readonly givesCredit?: boolean;
  readonly settings?: readonly (readonly [id: number, value: number])[];
  /** In hexadecimal, instead of the preface and SETTINGS. */
  readonly preface?: string;
}

export interface StreamReport {
  /** Of the first final response. */
  readonly status: string | null;
  /** All header blocks, 1xx and trailers too. */
  readonly blocks: readonly (readonly Field[])[];
  readonly body: string;
  readonly bytes: number;
  readonly ended: boolean;
  /** Name of the code of a RST_STREAM. */
  readonly reset: string | null;
}

export interface AttackReport {
  readonly goaways: readonly (readonly [code: string, last: number, debug: string])[];
  readonly end: string;
  readonly settings: Readonly<Record<string, number>>;
  /** Frames that arrived, by name of hyperframe's class. */
  readonly counts: Readonly<Record<string, number>>;
  /** Streams that the steps opened, in order. */
  readonly opened: readonly number[];
  readonly streams: Readonly<Record<string, StreamReport>>;
  /** Whether all steps were played before the connection ended. */
  readonly played: boolean;
  /** How each connection ended: the code of its GOAWAY, else `fin`, `reset` or `open`. */
  readonly tally: Readonly<Record<string, number>>;
}

/** One Python process that attacks as often as it is told, one after another. */
export class Attacker {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  static start(): Attacker {
    return new Attacker(startTool('python3', [script('attack.py')]));
  }

  attack(port: number, order: Attack): Promise<AttackReport> {
    const report = this.#last.then(async () => {
      this.#child.stdin!.write(`${JSON.stringify({ port, ...order })}\n`);
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error('attack.py has ended');
      return JSON.parse(value) as AttackReport;
    });
    this.#last = report.catch(() => undefined);
    return report;
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

/** What happened to the streams that were opened, in order: the code of a reset, a status, or what is missing. */
export function outcomes({ opened, streams }: AttackReport): string[] {
  return opened.map((number) => {
    const stream = streams[String(number)];
    if (stream === undefined) return 'no answer';
    if (stream.reset !== null && (stream.status === null || !stream.ended)) return stream.reset;
    if (stream.status === null) return 'no answer';
    return stream.ended ? stream.status : `${stream.status} without end`;
  });
}
