// Copies of requests, in each of the forms that Istio has for them.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HttpRouteRule, RouteDestination } from '../api/virtual-service.js';
import type { RouteAction_RequestMirrorPolicySchema } from '../xds/messages.js';
import { fractionOf, wholeFractionOf } from './percents.js';

type MirrorInit = MessageInitShape<typeof RouteAction_RequestMirrorPolicySchema>;

/** Policies of a rule; a share of 0 leaves one out, no share means all requests. */
export function compileMirrors(
  rule: HttpRouteRule,
  clusterOf: (destination: RouteDestination) => string,
): MirrorInit[] {
  const whole = rule.mirrorPercent ?? rule.mirror_percent;
  const all = (rule.mirrors ?? []).map(({ destination, percentage }) => ({
    destination,
    share: shareOf(percentage, undefined),
  }));
  if (rule.mirror !== undefined)
    all.unshift({ destination: rule.mirror, share: shareOf(rule.mirrorPercentage, whole) });
  return all
    .filter(({ share }) => share.numerator! > 0)
    .map(({ destination, share }) => ({
      cluster: clusterOf(destination),
      runtimeFraction: { defaultValue: share },
      traceSampled: false,
      // The copy keeps the host that was asked for, as since Istio 1.28.
      disableShadowHostSuffixAppend: true,
    }));
}

function shareOf(percentage: HttpRouteRule['mirrorPercentage'], whole: number | undefined) {
  if (percentage !== undefined) return fractionOf(percentage.value ?? 0);
  return wholeFractionOf(whole ?? 100);
}
