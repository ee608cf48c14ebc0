// One finding about an object, with the place where it stands.
import type { Diagnostic, DiagnosticCode, Severity } from '../api/diagnostic.js';
import { objectKey, type MeshObject } from '../api/object.js';

/** `a=b, c=d`, for messages. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map((pair) => pair.join('='))
    .join(', ');
}

export function finding(
  severity: Severity,
  code: DiagnosticCode,
  object: MeshObject,
  path: string,
  message: string,
): Diagnostic {
  return { severity, code, object: objectKey(object), ...object.origin, path, message };
}
