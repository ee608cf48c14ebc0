// Envoy's response flags: several stand in the order in which Envoy prints them.

const order = 'LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM'.split(' ');

/** The flags with one more among them. */
export function addResponseFlag(flags: string, flag: string): string {
  if (flags === '-') return flag;
  return [...new Set([...flags.split(','), flag])].sort((a, b) => order.indexOf(a) - order.indexOf(b)).join(',');
}
