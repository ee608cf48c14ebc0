// Which namespaces see an object: Istio's exportTo.

/** Whether an object of `objectNamespace` with this exportTo is seen from `namespace`; `*` outweighs other entries. */
export function isVisibleIn(
  namespace: string,
  objectNamespace: string,
  exportTo: readonly string[] | undefined,
): boolean {
  if (exportTo === undefined || exportTo.length === 0 || exportTo.includes('*')) return true;
  return exportTo.some((entry) => (entry === '.' ? namespace === objectNamespace : entry === namespace));
}
