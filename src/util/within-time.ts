// Waiting with a bound.

/** Resolves when `promise` does, or after `longestMs`. */
export async function withinTime(promise: Promise<unknown>, longestMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, longestMs)))]);
  clearTimeout(timer);
}
