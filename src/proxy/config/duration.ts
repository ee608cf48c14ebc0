// Durations of messages in milliseconds.
import type { Duration } from '@bufbuild/protobuf/wkt';

/** What timers can count, some 24 days; they take longer times for none at all. */
const longestMs = 2 ** 31 - 1;

/** Milliseconds, at most what a timer can count; undefined where the duration is absent. */
export function durationMs(duration: Duration | undefined): number | undefined {
  return duration === undefined
    ? undefined
    : Math.min(longestMs, Number(duration.seconds) * 1000 + duration.nanos / 1e6);
}

/** Milliseconds of a time limit: `defaultMs` where it is absent; 0 turns it off, as Envoy says: as long as can be counted. */
export function timeLimitMs(duration: Duration | undefined, defaultMs: number): number {
  return durationMs(duration) === 0 ? longestMs : (durationMs(duration) ?? defaultMs);
}
