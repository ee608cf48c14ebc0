// The live view of `up` on a terminal: a block at the bottom that shows who calls whom now; everything else scrolls above.
import type { WriteStream } from 'node:tty';
import type { Overview } from '../admin/routes.js';
import { formatTable } from './table.js';

const refreshMs = 1000;
const clearLine = '\x1b[2K';
const moveUp = (lines: number) => (lines > 0 ? `\x1b[${lines}A` : '');

/** A block of lines that is drawn again in place. */
export class LiveBlock {
  readonly #terminal: WriteStream;
  #lines: readonly string[] = [];

  constructor(terminal: WriteStream) {
    this.#terminal = terminal;
  }

  /** Prints a line above the block. */
  print(line: string): void {
    this.#terminal.write(`${this.#erase()}${line}\n${this.#draw()}`);
  }

  show(lines: readonly string[]): void {
    const erase = this.#erase();
    this.#lines = lines.slice(0, Math.max(1, this.#terminal.rows - 2)).map((line) => cut(line, this.#terminal.columns));
    this.#terminal.write(`${erase}${this.#draw()}`);
  }

  #erase(): string {
    return this.#lines.length === 0
      ? ''
      : `${moveUp(this.#lines.length)}${`${clearLine}\n`.repeat(this.#lines.length)}${moveUp(this.#lines.length)}`;
  }

  #draw(): string {
    return this.#lines.map((line) => `${line}\n`).join('');
  }
}

/** Fetches the overview once a second and shows it, until stopped. */
export function showLive(block: LiveBlock, url: string, useColour: boolean): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const refresh = async () => {
    try {
      const response = await fetch(new URL('/api/overview', url), { signal: AbortSignal.timeout(2000) });
      const overview = (await response.json()) as Overview;
      if (!stopped) block.show(formatOverview(overview, url, useColour));
    } catch {
      if (!stopped) block.show(['', `the control plane does not answer; traffic goes on without it (${url})`]);
    }
    if (!stopped) timer = setTimeout(() => void refresh(), refreshMs);
  };
  void refresh();
  return () => {
    stopped = true;
    clearTimeout(timer);
    block.show([]);
  };
}

/** The block as text. */
export function formatOverview(overview: Overview, url: string, useColour: boolean): string[] {
  const paint = (code: number, text: string) => (useColour ? `\x1b[${code}m${text}\x1b[0m` : text);
  const ready = overview.workloads.filter(({ ready: isReady }) => isReady).length;
  const errors = overview.diagnostics.filter(({ severity }) => severity === 'error').length;
  const state = [
    `${ready} of ${overview.workloads.length} ready`,
    overview.plaintext.length === 0
      ? paint(32, 'mTLS everywhere')
      : paint(33, `plaintext accepted by ${overview.plaintext.length}`),
    errors === 0
      ? 'no errors in the files'
      : paint(31, `${errors} error${errors === 1 ? '' : 's'}: lateen get diagnostics`),
    `${url}  Ctrl-C stops`,
  ].join('  |  ');
  const rows = overview.edges.map((edge) => {
    const ofHttp = (text: string) => (edge.protocol === 'http' ? text : '-');
    return [
      edge.source,
      edge.destination === 'unknown' ? edge.destinationService : edge.destination,
      edge.protocol.toUpperCase(),
      edge.rate.toFixed(1),
      ofHttp(`${(edge.successRate * 100).toFixed(1)} %`),
      ofHttp(`${edge.p50Ms.toFixed(1)} ms`),
      ofHttp(`${edge.p99Ms.toFixed(1)} ms`),
      edge.security === 'mutual_tls' ? 'mTLS' : edge.security,
    ];
  });
  const table =
    rows.length === 0
      ? ['no traffic within the last 10 seconds']
      : formatTable(['FROM', 'TO', 'PROTOCOL', 'RATE/S', 'SUCCESS', 'P50', 'P99', 'SECURITY'], rows)
          .trimEnd()
          .split('\n');
  return ['', paint(1, state), ...table.map((line, i) => (i === 0 ? paint(2, line) : line))];
}

/** Cuts a line to the width of the terminal; colours take no room. */
function cut(line: string, columns: number): string {
  let width = 0;
  let result = '';
  // oxlint-disable-next-line no-control-regex -- the escape character begins a colour
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    if (part.startsWith('\x1b')) result += part;
    else {
      result += part.slice(0, Math.max(0, columns - width));
      width += part.length;
    }
  }
  return result;
}
