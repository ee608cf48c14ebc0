// One timer a second for all deadlines of connections: thousands of idle connections cost nothing between its ticks.

/** Something with deadlines of its own. */
export interface Swept {
  /** Called about once a second with the monotonic time in milliseconds. */
  onTick(nowMs: number): void;
}

const members = new Set<Swept>();
let timer: NodeJS.Timeout | undefined;

/** Adds a member; the returned function removes it. */
export function sweep(member: Swept): () => void {
  members.add(member);
  timer ??= setInterval(tick, 1000).unref();
  return () => {
    members.delete(member);
    if (members.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function tick(): void {
  const nowMs = performance.now();
  for (const member of members) member.onTick(nowMs);
}
