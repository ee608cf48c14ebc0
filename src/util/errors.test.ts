// What is told of anything thrown.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { codeOf, messageOf, UserError } from './errors.js';

it('the message of an error is its message, of anything else its text', () => {
  assert.equal(messageOf(new Error('no')), 'no');
  assert.equal(messageOf('no'), 'no');
  assert.equal(messageOf(undefined), 'undefined');
  assert.equal(messageOf(null), 'null');
});

it('the code of a thrown thing is a text or nothing', () => {
  assert.equal(codeOf(Object.assign(new Error(), { code: 'ENOENT' })), 'ENOENT');
  assert.equal(codeOf(Object.assign(new Error(), { code: 5 })), undefined);
  for (const other of [undefined, null, 'text', 7, new Error()]) assert.equal(codeOf(other), undefined);
});

it('a user error ends with 1 unless told otherwise', () => {
  assert.equal(new UserError('found').exitCode, 1);
  assert.equal(new UserError('use', 2).exitCode, 2);
});
