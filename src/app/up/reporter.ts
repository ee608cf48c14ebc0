// What `up` tells the person who started it; the command line prints it, tests collect it.
import type { Diagnostic } from '../../api/diagnostic.js';
import type { RunEntry } from '../../local/run-file.js';

export interface UpReporter {
  /** One step of starting, stopping or changing. */
  step(message: string): void;
  /** Something is wrong; the rest goes on. */
  problem(message: string): void;
  /** A line of an application or of one of the mesh's processes. */
  output(source: string, line: string): void;
  /** Everything that can run does; told once. */
  ready(info: ReadyInfo): void;
  /** What the mesh has to say about the files; told whole at every change. */
  diagnostics(diagnostics: readonly Diagnostic[]): void;
}

export interface ReadyInfo {
  readonly url: string;
  readonly workloads: readonly RunEntry[];
  /** Workloads that take plaintext. */
  readonly plaintext: readonly string[];
}
