// The deadline of a gRPC caller: the header `grpc-timeout` (gRPC over HTTP/2, "Timeout").

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** At most eight digits and a unit: the longest is some 11,000 years. */
const form = /^(\d{1,8})([HMSmun])$/;
const mostDigits = 99_999_999;

/** Milliseconds, rounded up; undefined where it is not of the prescribed form, which Envoy takes for none at all. */
export function parseGrpcTimeout(text: string): number | undefined {
  const [, digits, unit] = form.exec(text) ?? [];
  return digits === undefined ? undefined : Math.ceil(Number(digits) * unitMs[unit!]!);
}

/** The header for a time in milliseconds, rounded up in the finest unit that has room for it: nothing becomes 0. */
export function formatGrpcTimeout(ms: number): string {
  for (const unit of ['m', 'S', 'M', 'H']) {
    const count = Math.ceil(ms / unitMs[unit]!);
    if (count <= mostDigits) return `${count}${unit}`;
  }
  return `${mostDigits}H`;
}
