// Istio's StringMatch in Envoy's words.
import type { StringMatch } from '../api/schema.js';

/** The pattern of a match that has one. */
export function pattern(match: StringMatch) {
  if (match.exact !== undefined) return { case: 'exact' as const, value: match.exact };
  if (match.prefix !== undefined) return { case: 'prefix' as const, value: match.prefix };
  return { case: 'safeRegex' as const, value: { regex: match.regex! } };
}
