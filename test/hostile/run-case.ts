// Runs one hostile case against one entrance of a proxy and says what came of it, on both sides of the proxy.
import type { Socket } from 'node:net';
import type { Forwarded, HostileCase } from './cases.js';
import type { Recorded, RecordingUpstream } from './recording-upstream.js';
import { converse, type Heard, type Step } from './steps.js';
import { fieldOf, readResponses, statusOf, type WireMessage } from './wire.js';

/** Where connections go in. */
export interface Entrance {
  readonly name: string;
  /** A host that leads to the recording server. */
  readonly host: string;
  connect(): Promise<Socket>;
}

export interface Outcome {
  readonly answers: readonly WireMessage[];
  readonly heard: Heard;
  readonly forwarded: readonly { request: WireMessage; connection: Recorded }[];
  /** What came back for a good request afterwards; undefined where nothing did. */
  readonly next: WireMessage | undefined;
}

/** Plays the case, then sends a good request: on the same connection where that goes on, else on another. */
export async function runCase(
  { steps, answers: expected, closes, method, respond, early }: HostileCase,
  entrance: Entrance,
  upstream: RecordingUpstream,
  id: string,
  answerWithinMs = 13_000,
): Promise<Outcome> {
  const fill = (step: Step) => fillStep(step, entrance.host, id);
  if (respond !== undefined)
    upstream.scripts.set(`/c/${id}`, { steps: respond.map(fill), ...(early === undefined ? {} : { early }) });
  const mark = upstream.mark();
  const socket = await entrance.connect();
  const methods = [method ?? 'GET'];
  const heard = await converse(
    socket,
    steps.map(fill),
    (bytes) =>
      !closes && readResponses(bytes, methods, false).filter(({ complete }) => complete).length >= expected.length,
    answerWithinMs,
  );
  const ended = heard.end === 'fin';
  const next = await askNext(heard.end === 'open' ? socket : undefined, entrance, id, answerWithinMs);
  socket.destroy();
  // What an earlier case broke off may arrive late.
  const foreign = new RegExp(`^GET /next/|^[A-Z]+ /c/(?!${id}\\b)`);
  const forwarded = upstream.since(mark).filter(({ request }) => !foreign.test(request.line));
  return { answers: readResponses(heard.bytes, methods, ended), heard, forwarded, next };
}

/** A good request; its answer must be its own. */
async function askNext(
  open: Socket | undefined,
  entrance: Entrance,
  id: string,
  answerWithinMs: number,
): Promise<WireMessage | undefined> {
  const socket = open ?? (await entrance.connect());
  const request = `GET /next/${id} HTTP/1.1\r\nHost: ${entrance.host}\r\nConnection: close\r\n\r\n`;
  const { bytes, end } = await converse(socket, [request], () => false, answerWithinMs);
  socket.destroy();
  return readResponses(bytes, ['GET'], end === 'fin')[0];
}

function fillStep(step: Step, host: string, id: string): Step {
  const fill = (text: string) =>
    text.replaceAll('{host}', host).replaceAll('{HOST}', host.toUpperCase()).replaceAll('{id}', id);
  if (typeof step === 'object') return { oneByOne: fill(step.oneByOne) };
  return step === 'end' || step === 'reset' || step === 'wait-for-bytes' ? step : fill(step);
}

/** Everything in which the outcome differs from what the case asks for; empty where it is right. */
export function judge(
  hostile: HostileCase,
  { answers, heard, forwarded, next }: Outcome,
  host: string,
  id: string,
): string[] {
  const problems: string[] = [];
  const got = answers.map((answer) => (answer.complete ? String(statusOf(answer)) : `${statusOf(answer)} (cut off)`));
  const asExpected =
    answers.length === hostile.answers.length &&
    hostile.answers.every((allowed, i) => {
      const answer = answers[i]!;
      return allowed === 'broken' ? !answer.complete : answer.complete && allowed.includes(statusOf(answer));
    });
  // An answer may be broken off before any of it was sent.
  const brokenAtOnce = hostile.answers[0] === 'broken' && answers.length === 0 && heard.end !== 'open';
  if (!asExpected && !brokenAtOnce) problems.push(`answers: ${got.join(', ') || 'none'} (${heard.end})`);
  if (hostile.closes && heard.end === 'open') problems.push('the connection stays open');
  if (!hostile.closes && heard.end !== 'open') problems.push(`the connection ended: ${heard.end}`);
  if (hostile.body !== undefined && answers[0]?.body !== hostile.body) problems.push(`body: ${answers[0]?.body}`);
  if (hostile.never !== undefined && heard.bytes.includes(hostile.never))
    problems.push(`what came back has ${hostile.never}`);
  if (next === undefined || statusOf(next) !== 200 || next.body !== `/next/${id}`)
    problems.push(`a good request afterwards: ${next === undefined ? 'no answer' : `${next.line} ${next.body}`}`);
  problems.push(...judgeForwarded(hostile.forwards, forwarded, host, id));
  if (hostile.endsUpstream === true && forwarded.some(({ connection }) => connection.end === undefined))
    problems.push('the connection to the server is kept');
  return problems;
}

function judgeForwarded(
  expected: HostileCase['forwards'],
  forwarded: Outcome['forwarded'],
  host: string,
  id: string,
): string[] {
  const requests = forwarded.map(({ request }) => request);
  if (expected === 'nothing')
    return requests.map((request) => `forwarded: ${JSON.stringify(request.line.slice(0, 100))}`);
  if (expected === 'incomplete')
    return requests.filter(({ complete }) => complete).map(({ line }) => `forwarded as a whole request: ${line}`);
  if (requests.length !== expected.length)
    return [`forwarded ${requests.length} requests: ${requests.map(({ line }) => line.slice(0, 100)).join(' | ')}`];
  return expected.flatMap((wanted, i) => judgeRequest(wanted, requests[i]!, host, id));
}

function judgeRequest(wanted: Forwarded, request: WireMessage, host: string, id: string): string[] {
  const fill = (text: string) => text.replaceAll('{host}', host).replaceAll('{id}', id);
  const problems: string[] = [];
  const fields = new Set(request.fields.map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase())));
  if (!request.complete) problems.push('the request arrived incomplete');
  if (request.line !== `${fill(wanted.line)} HTTP/1.1`) problems.push(`request line: ${request.line.slice(0, 200)}`);
  if (request.body !== (wanted.body ?? '')) problems.push(`body: ${request.body.slice(0, 200)}`);
  for (const field of wanted.has ?? [])
    if (!fields.has(fill(field))) problems.push(`no field ${fill(field).slice(0, 100)}`);
  for (const name of wanted.lacks ?? [])
    if (fieldOf(request, name) !== undefined) problems.push(`field ${name} was forwarded`);
  const trailers = request.trailers.map((trailer) => trailer.toLowerCase());
  if (JSON.stringify(trailers) !== JSON.stringify(wanted.trailers ?? []))
    problems.push(`trailers: ${trailers.join(' | ')}`);
  return problems;
}
