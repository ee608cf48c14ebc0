// Remembers results by the identity of the arguments: configuration is made of frozen values that are shared while
// unchanged, so "same objects" is the whole cache key and nothing has to be invalidated.

type Node = { weak?: WeakMap<object, Node>; strong?: Map<unknown, Node>; value?: unknown; has?: boolean };

/** `compute`, remembered per combination of arguments: objects by identity (held weakly), everything else by value. */
export function memoize<A extends readonly unknown[], R>(compute: (...args: A) => R): (...args: A) => R {
  const root: Node = {};
  return (...args) => {
    let node = root;
    for (const arg of args) node = child(node, arg);
    if (node.has !== true) {
      node.value = compute(...args);
      node.has = true;
    }
    return node.value as R;
  };
}

function child(node: Node, arg: unknown): Node {
  const isObject = typeof arg === 'object' && arg !== null;
  const map: { get(key: unknown): Node | undefined; set(key: unknown, value: Node): unknown } = isObject
    ? ((node.weak ??= new WeakMap()) as WeakMap<object, Node> & Map<unknown, Node>)
    : (node.strong ??= new Map());
  let next = map.get(arg);
  if (next === undefined) {
    next = {};
    map.set(arg, next);
  }
  return next;
}
