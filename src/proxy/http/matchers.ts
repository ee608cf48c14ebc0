// Envoy's matchers compiled into predicates: pure functions of a request.
import { RE2JS } from 're2js';
import type { HeaderMatcher, QueryParameterMatcher, StringMatcher } from '../../xds/messages.js';
import { findHeader, type RequestHead } from './message.js';

/** The part of a request that routing looks at. */
export type RoutedRequest = Pick<RequestHead, 'method' | 'path' | 'authority' | 'scheme' | 'headers'>;

/** Configuration that this proxy does not understand; it is refused, never ignored. */
export class UnsupportedConfig extends Error {
  override readonly name = 'UnsupportedConfig';
}

export type TextPredicate = (text: string) => boolean;
export type RequestPredicate = (request: RoutedRequest) => boolean;

/** A whole-value match in linear time, whatever the expression and the value. */
export function compileRegex(pattern: string): TextPredicate {
  const compiled = RE2JS.compile(pattern);
  return (text) => compiled.matches(text);
}

export function compileStringMatcher(matcher: StringMatcher): TextPredicate {
  const { matchPattern, ignoreCase } = matcher;
  const fold = ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text;
  switch (matchPattern.case) {
    case 'exact': {
      const wanted = fold(matchPattern.value);
      return (text) => fold(text) === wanted;
    }
    case 'prefix': {
      const wanted = fold(matchPattern.value);
      return (text) => fold(text).startsWith(wanted);
    }
    case 'suffix': {
      const wanted = fold(matchPattern.value);
      return (text) => fold(text).endsWith(wanted);
    }
    case 'contains': {
      const wanted = fold(matchPattern.value);
      return (text) => fold(text).includes(wanted);
    }
    case 'safeRegex':
      return compileRegex(matchPattern.value.regex);
    default:
      throw new UnsupportedConfig(`string matcher ${matchPattern.case ?? '(empty)'} is not supported`);
  }
}

/** Value of a header or pseudo-header; several values are joined by commas. */
function readHeader(request: RoutedRequest, name: string): string | undefined {
  switch (name) {
    case ':method':
      return request.method;
    case ':path':
      return request.path;
    case ':authority':
    case 'host':
      return request.authority;
    case ':scheme':
      return request.scheme;
    default:
      return findHeader(request.headers, name);
  }
}

export function compileHeaderMatcher(matcher: HeaderMatcher): RequestPredicate {
  const name = matcher.name.toLowerCase();
  const { invertMatch: inverted, treatMissingHeaderAsEmpty } = matcher;
  const specifier = matcher.headerMatchSpecifier;
  if (specifier.case === 'presentMatch') {
    const wanted = specifier.value !== inverted;
    return (request) => (readHeader(request, name) !== undefined) === wanted;
  }
  if (specifier.case !== 'stringMatch')
    throw new UnsupportedConfig(`header matcher ${specifier.case ?? '(empty)'} is not supported`);
  const test = compileStringMatcher(specifier.value);
  return (request) => {
    const value = readHeader(request, name) ?? (treatMissingHeaderAsEmpty ? '' : undefined);
    // As in Envoy a header that is missing matches nothing, not even an inverted match.
    return value !== undefined && test(value) !== inverted;
  };
}

export function compileQueryMatcher(matcher: QueryParameterMatcher): RequestPredicate {
  const { name, queryParameterMatchSpecifier: specifier } = matcher;
  if (specifier.case === 'presentMatch')
    return (request) => (findQueryParameter(request.path, name) !== undefined) === specifier.value;
  if (specifier.case !== 'stringMatch')
    throw new UnsupportedConfig(`query parameter matcher ${specifier.case ?? '(empty)'} is not supported`);
  const test = compileStringMatcher(specifier.value);
  return (request) => {
    const value = findQueryParameter(request.path, name);
    return value !== undefined && test(value);
  };
}

/** The first value of a query parameter, undecoded, as Envoy reads it. */
export function findQueryParameter(path: string, name: string): string | undefined {
  const query = path.indexOf('?');
  if (query < 0) return undefined;
  for (const part of path.slice(query + 1).split('&')) {
    const equals = part.indexOf('=');
    if ((equals < 0 ? part : part.slice(0, equals)) === name) return equals < 0 ? '' : part.slice(equals + 1);
  }
  return undefined;
}

/** The path without its query. */
export function pathOnly(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}
