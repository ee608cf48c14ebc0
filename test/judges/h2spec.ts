// Runs h2spec against a port and reads its verdicts, one a case.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from './peers.js';

export interface Verdict {
  /** Section of h2spec and the number of the case within it, such as `http2/5.1.1 #2`. */
  readonly id: string;
  readonly fact: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** What h2spec expected and what it got. */
  readonly why: string;
}

/** @param timeoutSeconds how long h2spec waits for each answer */
export async function runH2spec(port: number, { path = '/', timeoutSeconds = 2 } = {}): Promise<Verdict[]> {
  const folder = mkdtempSync(join(tmpdir(), 'h2spec-'));
  const report = join(folder, 'report.xml');
  try {
    const { stderr } = await runTool(
      'h2spec',
      ['-h', '127.0.0.1', '-p', String(port), '-P', path, '-o', String(timeoutSeconds), '-j', report],
      { withinMs: 300_000 },
    );
    let xml: string;
    try {
      xml = readFileSync(report, 'utf8');
    } catch {
      throw new Error(`h2spec left no report: ${stderr}`);
    }
    return readReport(xml);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** h2spec numbers the cases of a section in the order of its report. */
export function readReport(xml: string): Verdict[] {
  const seen = new Map<string, number>();
  return [...xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)].map(
    ([, attributes = '', inner = '']) => {
      const section = attributeOf(attributes, 'package');
      const number = (seen.get(section) ?? 0) + 1;
      seen.set(section, number);
      const outcome = /<(failure|error)\b/.test(inner) ? 'failed' : /<skipped\b/.test(inner) ? 'skipped' : 'passed';
      const why = unescape(inner.replace(/<[^>]*>/g, ' ')).trim();
      return { id: `${section} #${number}`, fact: attributeOf(attributes, 'classname'), outcome, why };
    },
  );
}

function attributeOf(attributes: string, name: string): string {
  return unescape(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
}

function unescape(text: string): string {
  return text
    .replace(/&#x([0-9a-fA-F]+);|&#(\d+);/g, (_, hex: string | undefined, digits: string | undefined) =>
      String.fromCodePoint(hex === undefined ? Number(digits) : Number.parseInt(hex, 16)),
    )
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}
