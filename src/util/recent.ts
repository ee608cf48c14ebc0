// Remembers what was computed for the texts seen last: bounded, because peers choose the texts.

/** `compute`, remembered for up to `most` texts; beyond that all are forgotten, which costs little where few are in use. */
export function rememberRecent<R>(compute: (text: string) => R, most: number): (text: string) => R {
  const known = new Map<string, R>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined || known.has(text)) return found as R;
    const result = compute(text);
    if (known.size >= most) known.clear();
    known.set(text, result);
    return result;
  };
}
