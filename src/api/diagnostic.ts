// What the mesh has to say about the user's files: one kind of message for all of them.

export type Severity = 'error' | 'warning' | 'info';

/** One finding: what, where, why and what to do. Printed by `get diagnostics` in this form. */
export interface Diagnostic {
  readonly severity: Severity;
  /** Stable code: Istio's (ISTxxxx) where Istio has the message, ours (LATxxxx) else. */
  readonly code: DiagnosticCode;
  /** `Kind/namespace/name`, or empty where the trouble is a file's. */
  readonly object: string;
  /** Path of the file, relative to the mesh's folder. */
  readonly file: string;
  /** Line in the file, from 1; 0 where no line can be named. */
  readonly line: number;
  /** Field, such as `spec.http[0].route[1].weight`; empty for the whole object. */
  readonly path: string;
  readonly message: string;
}

/** Every code that exists, and what it means. */
export const diagnosticCodes = {
  IST0101: 'a referenced resource does not exist',
  IST0106: 'the object breaks a rule of its schema',
  IST0109: 'two VirtualServices claim the same host; the older one counts',
  IST0127: 'a selector matches no workload',
  IST0130: 'a rule of a VirtualService is never reached',
  IST0173: 'a subset of a DestinationRule selects no workload',
  IST0174: 'a DestinationRule is for a host that does not exist',
  LAT0001: 'objects of this kind are not supported',
  LAT0002: 'the field, or this value of it, is not supported',
  LAT0003: 'the file could not be read as YAML',
  LAT0004: 'another file already defines an object of this kind, namespace and name',
  LAT0005: 'the document is not a Kubernetes object',
  LAT0006: 'mesh.yaml breaks a rule',
  LAT0007: 'the object is accepted but part of it has no effect here',
  LAT0008: 'a data plane could not apply its configuration',
  LAT0009: 'an application does not run as it should',
  LAT0010: 'an object contradicts mesh.yaml, which counts',
  LAT0011: 'a port without a declared protocol would be better off with one',
  LAT0020: 'a policy may be avoided, or reaches further than it seems',
} as const;

export type DiagnosticCode = keyof typeof diagnosticCodes;

/** The diagnostic as one line for people. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const where = diagnostic.line > 0 ? `${diagnostic.file}:${diagnostic.line}` : diagnostic.file;
  const what = [diagnostic.object, diagnostic.path].filter((part) => part !== '').join(' ');
  return `${diagnostic.severity} ${diagnostic.code} ${where}${what === '' ? '' : ` ${what}`}: ${diagnostic.message}`;
}
