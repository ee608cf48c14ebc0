// Everything that is written within one turn of the event loop leaves at its end, in one call a connection: crossing into the
// socket layer is what a request costs most.

/** Collects bytes until it is flushed. */
export interface Flushable {
  /** Hands everything to the socket now. May not schedule others. */
  flush(): void;
}

const dirty: Flushable[] = [];

/** Flushes at the end of the turn. A caller asks once until it is flushed. */
export function flushSoon(target: Flushable): void {
  if (dirty.length === 0) setImmediate(flushAll);
  dirty.push(target);
}

function flushAll(): void {
  for (let i = 0; i < dirty.length; i++) dirty[i]!.flush();
  dirty.length = 0;
}
