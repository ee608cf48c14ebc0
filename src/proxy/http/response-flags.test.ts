// Several response flags stand in Envoy's order, each once.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { addResponseFlag } from './response-flags.js';

for (const [flags, wanted] of [
  ['-', 'DI'],
  ['DI', 'DI'],
  ['UF,URX', 'UF,DI,URX'],
  ['UT', 'UT,DI'],
  ['FI', 'DI,FI'],
  ['DC', 'DI,DC'],
])
  it(`${flags} with a delay is ${wanted}`, () => assert.equal(addResponseFlag(flags!, 'DI'), wanted));
