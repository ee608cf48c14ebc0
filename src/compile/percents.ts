// Shares of requests as Envoy counts them.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { FractionalPercent_DenominatorType as Denominator, type FractionalPercentSchema } from '../xds/messages.js';

type FractionalPercentInit = Exclude<MessageInitShape<typeof FractionalPercentSchema>, { $typeName: string }>;

/** A percentage to the ten-thousandth, as Istio sends one that may have a fraction. */
export function fractionOf(percent: number): FractionalPercentInit {
  return { numerator: Math.round(percent * 10_000), denominator: Denominator.MILLION };
}

/** A whole percentage. */
export function wholeFractionOf(percent: number): FractionalPercentInit {
  return { numerator: percent, denominator: Denominator.HUNDRED };
}
