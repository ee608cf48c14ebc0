// What `up` prints: one plain line an event.
import { formatDiagnostic, type Diagnostic } from '../api/diagnostic.js';
import type { UpReporter } from '../app/up/reporter.js';
import { printable } from '../util/logger.js';

export interface ClosableReporter extends UpReporter {
  close(): void;
}

export function createReporter(): ClosableReporter {
  const line = (text: string) => process.stdout.write(`${text}\n`);
  let known = new Set<string>();
  return {
    step: (message) => line(message),
    problem: (message) => line(`! ${message}`),
    output: (source, text) => line(source === '' ? printableLine(text) : `[${source}] ${printableLine(text)}`),
    diagnostics: (diagnostics: readonly Diagnostic[]) => {
      const now = new Set(diagnostics.filter(({ code }) => code !== 'LAT0009').map(formatDiagnostic));
      for (const text of now) if (!known.has(text)) line(text);
      for (const text of known) if (!now.has(text)) line(`resolved: ${text}`);
      known = now;
    },
    ready: ({ url, plaintext }) => {
      if (plaintext.length > 0)
        line(
          `these workloads accept plaintext: ${plaintext.join(', ')}; a PeerAuthentication with mode STRICT in the root namespace ends that`,
        );
      line(`ready ${url}`);
    },
    close: () => undefined,
  };
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
