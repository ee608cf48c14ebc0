// Durations as Istio's YAML writes them.

const unitMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  μs: 0.001, // the Greek letter, which looks the same
  ns: 0.000_001,
};
const part = /(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|μs|ns)/g;
const whole = /^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|m|s|us|µs|μs|ns))+$/;

/** Milliseconds in `1h30m`, `1.5s`, `250ms` (Go's form, of which protobuf's is a part); undefined where it is something else. */
export function parseDurationMs(text: string): number | undefined {
  if (!whole.test(text)) return text === '0' ? 0 : undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(part)) ms += Number(amount) * unitMs[unit!]!;
  return ms;
}
