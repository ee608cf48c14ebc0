// Durations of messages in milliseconds.
import type { Duration } from '@bufbuild/protobuf/wkt';

/** Milliseconds; undefined where the duration is absent. */
export function durationMs(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
