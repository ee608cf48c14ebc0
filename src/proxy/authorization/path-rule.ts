// Paths in policies, without their query: compared as texts, or by a template whose operators stand for segments.
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { UriTemplateMatchConfigSchema, type PathMatcher } from '../../xds/messages.js';
import {
  compileRegex,
  compileStringMatcher,
  pathOnly,
  UnsupportedConfig,
  type TextPredicate,
} from '../http/matchers.js';
import type { Rule } from './rule.js';

export function compilePathRule({ rule }: PathMatcher): Rule {
  if (rule.case !== 'path') throw new UnsupportedConfig('a path rule without a matcher is not supported');
  return onPath(compileStringMatcher(rule.value));
}

/** Takes Envoy's URI template matcher, the configuration of an extension. */
export function compileTemplateRule(config: Parameters<typeof anyUnpack>[0] | undefined): Rule {
  const template = config === undefined ? undefined : anyUnpack(config, UriTemplateMatchConfigSchema);
  if (template === undefined) throw new UnsupportedConfig('only URI templates can match paths by extension');
  return onPath(compileRegex(expressionOf(template.pathTemplate)));
}

/**
 * `*` is one segment that is not empty, `**` anything. Envoy's takes only characters that need no escape, so that `[` in a
 * segment gets past its DENY; here a segment is whatever stands between slashes.
 */
function expressionOf(template: string): string {
  if (/[{}]/.test(template))
    throw new UnsupportedConfig(`variables in the path template ${template} are not supported`);
  return template
    .split(/(\*\*?)/)
    .map((part) => (part === '**' ? '(?s:.*)' : part === '*' ? '[^/]+' : part.replace(/[^A-Za-z0-9/]/g, '\\$&')))
    .join('');
}

function onPath(test: TextPredicate): Rule {
  // CONNECT has no path: nothing matches it.
  return (_, request) => request !== undefined && request.path !== '' && test(pathOnly(request.path));
}
