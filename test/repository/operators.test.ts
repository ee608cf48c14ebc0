// What formats may say is what the proxy prints.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { headerOperators, plainOperators } from '../../src/api/command-operators.js';
import { operatorNames } from '../../src/telemetry/access-log/format.js';

it('the operators that users may write are those that the proxy has', () =>
  assert.deepEqual([...plainOperators, ...headerOperators].sort(), [...operatorNames].sort()));
