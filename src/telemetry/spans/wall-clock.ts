// Wall time of moments that were taken from the monotonic clock, finer than the milliseconds that Date tells: spans of one
// trace are ordered by microseconds.

/** How far the two clocks may have drifted apart before the wall clock counts. */
const mostDriftMs = 2;

/**
 * Turns readings of `monotonicNow` into microseconds since 1970, and follows the wall clock where that is set anew.
 * @param offsetMs wall time of the monotonic clock's zero
 */
export function createWallClock(
  monotonicNow: () => number = () => performance.now(),
  wallNow: () => number = Date.now,
  offsetMs: number = performance.timeOrigin,
): (monotonicMs: number) => number {
  let offset = offsetMs;
  return (monotonicMs) => {
    const drift = wallNow() + 0.5 - (monotonicNow() + offset); // Date cuts to whole milliseconds: half of one is its mean error
    if (Math.abs(drift) > mostDriftMs) offset += drift;
    return Math.round((monotonicMs + offset) * 1000);
  };
}

/** Microseconds since 1970 at which `performance.now()` was `monotonicMs`. */
export const wallMicros = createWallClock();
