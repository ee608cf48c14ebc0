// Headers in policies. Other than in routes, each of several values counts by itself: a rule for `admin` holds for a request
// that has the header twice and once with that value, so that a second value hides no first one (tried against Envoy 1.40).
import type { HeaderMatcher } from '../../xds/messages.js';
import { compileHeaderMatcher, compileStringMatcher } from '../http/matchers.js';
import type { Rule } from './rule.js';

export function compileHeaderRule(matcher: HeaderMatcher): Rule {
  const name = matcher.name.toLowerCase();
  const specifier = matcher.headerMatchSpecifier;
  if (name.startsWith(':') || name === 'host' || specifier.case !== 'stringMatch') {
    const matches = compileHeaderMatcher(matcher);
    return (_, request) => request !== undefined && matches(request);
  }
  const test = compileStringMatcher(specifier.value);
  const { invertMatch, treatMissingHeaderAsEmpty } = matcher;
  return (_, request) => {
    if (request === undefined) return false;
    const { headers } = request;
    let isThere = false;
    for (let i = 0; i < headers.length; i += 2) {
      if (headers[i] !== name) continue;
      isThere = true;
      if (test(headers[i + 1]!)) return !invertMatch;
    }
    if (!isThere) return treatMissingHeaderAsEmpty && test('') !== invertMatch;
    return invertMatch;
  };
}
