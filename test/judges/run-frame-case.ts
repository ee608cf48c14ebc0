// Runs one hostile case in HTTP/2 against one entrance and says what is wrong with what came of it, on both sides of the proxy.
import { eventually } from '../harness/mesh.js';
import type { RecordingUpstream } from '../hostile/recording-upstream.js';
import { outcomes, type Attacker, type AttackReport } from './attack.js';
import { ask, get, type FrameCase } from './frame-cases.js';

/** Where frames go in. */
export interface FrameEntrance {
  readonly name: string;
  /** A host that leads to the recording server. */
  readonly host: string;
  readonly port: number;
}

/** Everything in which the outcome differs from what the case asks for; empty where it is right. */
export async function judgeFrames(
  hostile: FrameCase,
  { host, port }: FrameEntrance,
  upstream: RecordingUpstream,
  attacker: Attacker,
  id: string,
): Promise<string[]> {
  const path = `/c/${id}`;
  if (hostile.respond !== undefined) upstream.scripts.set(path, hostile.respond);
  const mark = upstream.mark();
  const order = hostile.attack({ host, path });
  const stays = hostile.connection === 'stays';
  const next = { host, path: `/next/${id}` };
  const goesOn = stays ? ([ask(get(next)), { do: 'await', what: 'end' }] as const) : [];
  const report = await attacker.attack(port, { ...order, steps: [...order.steps, ...goesOn] });
  const after = await attacker.attack(port, { steps: [ask(get(next))] });
  const problems = [...judgeConnection(hostile, report), ...judgeStreams(hostile, report, order.within === 0)];
  if (outcomes(after)[0] !== '200' || after.streams['1']?.body !== next.path)
    problems.push(`a good request on another connection: ${outcomes(after)[0]}`);
  const forwarded = upstream.since(mark).filter(({ request }) => request.line.includes(` ${path}`));
  problems.push(
    ...judgeForwarded(
      hostile,
      forwarded.map(({ request }) => request),
    ),
  );
  if (hostile.cancels === true)
    await eventually(
      () => forwarded.every(({ connection }) => connection.end !== undefined || isFree(hostile, connection.unsent())),
      'the end of what the server was asked for',
    ).catch((error: Error) => problems.push(error.message));
  return problems;
}

/** A connection whose answer has been taken whole; a server that never answers frees none. */
function isFree({ respond }: FrameCase, unsent: number): boolean {
  return respond !== undefined && respond.steps.length > 0 && unsent === 0;
}

function judgeConnection({ connection }: FrameCase, report: AttackReport): string[] {
  const ends = Object.keys(report.tally);
  const seen = `${ends.join(', ')} ${JSON.stringify(report.goaways)} (${report.end})`;
  if (connection === 'stays') {
    const last = outcomes(report).at(-1);
    return last === '200' ? [] : [`the next request on the connection: ${last} ${seen}`];
  }
  if (connection === 'either') return [];
  const problems = ends
    .filter((end) => !connection.includes(end))
    .map((end) => `the connection ended: ${end}; ${seen}`);
  if (report.end === 'open') problems.push(`the connection stays open; ${seen}`);
  return problems;
}

function judgeStreams({ streams, connection }: FrameCase, report: AttackReport, isCutOff: boolean): string[] {
  if (streams === undefined) return [];
  const seen = connection === 'stays' ? outcomes(report).slice(0, -1) : outcomes(report);
  const ended = report.end !== 'open' || report.goaways.length > 0;
  const wrong = seen.filter((one) => !streams.includes(one) || (one === 'no answer' && !ended && !isCutOff));
  return [...new Set(wrong)].map((one) => `a stream ended: ${one}`);
}

function judgeForwarded({ forwards }: FrameCase, requests: readonly { line: string; complete: boolean }[]): string[] {
  if (forwards === 'nothing') return requests.map(({ line }) => `forwarded: ${JSON.stringify(line.slice(0, 100))}`);
  if (forwards === 'incomplete')
    return requests.filter(({ complete }) => complete).map(({ line }) => `forwarded as a whole request: ${line}`);
  const { atLeast = 0, atMost } = forwards;
  if (requests.length >= atLeast && requests.length <= atMost) return [];
  return [`${requests.length} requests were forwarded, not ${atLeast} to ${atMost}`];
}
