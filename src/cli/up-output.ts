// What `up` prints: one plain line an event; on a terminal a live view stands below them.
import { formatDiagnostic } from '../api/diagnostic.js';
import type { ReadyInfo, UpReporter } from '../app/up/reporter.js';
import { printable } from '../util/logger.js';
import { LiveBlock, showLive } from './up-live.js';

export interface ClosableReporter extends UpReporter {
  close(): void;
}

export function createReporter(): ClosableReporter {
  const { stdout } = process;
  const useColour = stdout.isTTY && process.env['NO_COLOR'] === undefined;
  const block = stdout.isTTY ? new LiveBlock(stdout) : undefined;
  const line = (text: string) => (block === undefined ? stdout.write(`${text}\n`) : block.print(text));
  const red = (text: string) => (useColour ? `\x1b[31m${text}\x1b[0m` : text);
  let known = new Set<string>();
  let stopLive: (() => void) | undefined;
  return {
    step: (message) => {
      // Stopping: the view would only show how everything goes away.
      if (message.startsWith('stopping')) stopLive?.();
      line(message);
    },
    problem: (message) => line(red(`! ${message}`)),
    output: (source, text) => line(source === '' ? printableLine(text) : `[${source}] ${printableLine(text)}`),
    diagnostics: (diagnostics) => {
      // Trouble with applications was told when it happened.
      const now = new Set(diagnostics.filter(({ code }) => code !== 'LAT0009').map(formatDiagnostic));
      for (const text of now) if (!known.has(text)) line(text.startsWith('error') ? red(text) : text);
      for (const text of known) if (!now.has(text)) line(`resolved: ${text}`);
      known = now;
    },
    ready: (info) => {
      for (const text of readyLines(info)) line(text);
      if (block !== undefined) stopLive = showLive(block, info.url, useColour);
    },
    close: () => stopLive?.(),
  };
}

function readyLines({ url, workloads, plaintext }: ReadyInfo): string[] {
  const missing = workloads.filter(({ ready }) => !ready).map(({ name }) => name);
  return [
    ...(missing.length === 0
      ? []
      : [`not ready, and not waited for: ${missing.join(', ')} (see \`lateen get diagnostics\`)`]),
    ...(plaintext.length === 0
      ? []
      : [
          `these workloads accept plaintext: ${plaintext.join(', ')}; a PeerAuthentication with mode STRICT in the root namespace ends that`,
        ]),
    'without network namespaces the boundary is this machine: its other processes can reach the applications directly',
    `ready ${url}`,
  ];
}

// oxlint-disable-next-line no-control-regex -- the escape character begins a colour
const colour = /(\u001b\[[0-9;]*m)/;

/** Colours stay; everything else that steers a terminal is shown as text. */
function printableLine(text: string): string {
  return text
    .split(colour)
    .map((part, i) => (i % 2 === 1 ? part : printable(part.replaceAll('\t', '    '))))
    .join('');
}
