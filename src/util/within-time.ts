// Waiting with a bound.

/** Resolves when `promise` does, or after `longestMs`; rejects when `promise` does before. */
export async function withinTime(promise: Promise<unknown>, longestMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, longestMs)))]);
  } finally {
    clearTimeout(timer);
  }
}
