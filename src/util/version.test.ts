// The version of the program.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { version } from './version.js';

it('the version is a semantic one, read from wherever the program was installed', () => {
  assert.match(version, /^\d+\.\d+\.\d+/);
});
