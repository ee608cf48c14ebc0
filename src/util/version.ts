// The version of the program, as its package says.
import { readFileSync } from 'node:fs';

/** `package.json` lies above `dist`, in a checkout and in an installed package alike. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
