// Holds header operations to Envoy's order and to its four ways of adding.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import { RouteSchema } from '../../xds/messages.js';
import { compileHeaderChanges, joinHeaderChanges } from './header-changes.js';
import { UnsupportedConfig } from './matchers.js';

const record = { downstreamRemoteAddress: '10.0.0.1:5000' } as AccessRecord;

function changeOf(add: readonly JsonObject[], remove: readonly string[] = []) {
  const route = fromJson(RouteSchema, { requestHeadersToAdd: [...add], requestHeadersToRemove: [...remove] });
  return compileHeaderChanges(route.requestHeadersToAdd, route.requestHeadersToRemove);
}

function changed(headers: string[], add: readonly JsonObject[], remove: readonly string[] = []): string[] {
  changeOf(add, remove)!(headers, record);
  return headers;
}

const option = (appendAction: string, value = 'new', key = 'X') => ({ header: { key, value }, appendAction });

describe('a header that is there', () => {
  const headers = () => ['x', '1', 'y', '2', 'x', '3'];
  it('is added to', () =>
    assert.deepEqual(changed(headers(), [option('APPEND_IF_EXISTS_OR_ADD')]), [...headers(), 'x', 'new']));
  it('is replaced, all of it, in its place', () =>
    assert.deepEqual(changed(headers(), [option('OVERWRITE_IF_EXISTS_OR_ADD')]), ['x', 'new', 'y', '2']));
  it('is replaced by what only replaces', () =>
    assert.deepEqual(changed(headers(), [option('OVERWRITE_IF_EXISTS')]), ['x', 'new', 'y', '2']));
  it('is left by what only adds', () => assert.deepEqual(changed(headers(), [option('ADD_IF_ABSENT')]), headers()));
  it('is removed, all of it, whatever the case of its name', () =>
    assert.deepEqual(changed(headers(), [], ['X']), ['y', '2']));
  it('is removed before it is added', () =>
    assert.deepEqual(changed(headers(), [option('APPEND_IF_EXISTS_OR_ADD')], ['x']), ['y', '2', 'x', 'new']));
});

describe('a header that is not there', () => {
  const headers = () => ['y', 'x'];
  for (const action of ['APPEND_IF_EXISTS_OR_ADD', 'OVERWRITE_IF_EXISTS_OR_ADD', 'ADD_IF_ABSENT'])
    it(`is added by ${action}`, () => assert.deepEqual(changed(headers(), [option(action)]), ['y', 'x', 'x', 'new']));
  it('is not added by what only replaces', () =>
    assert.deepEqual(changed(headers(), [option('OVERWRITE_IF_EXISTS')]), headers()));
});

it('values name facts of the request', () =>
  assert.deepEqual(changed([], [option('ADD_IF_ABSENT', 'from %DOWNSTREAM_REMOTE_ADDRESS%')]), [
    'x',
    'from 10.0.0.1:5000',
  ]));

it('an empty value adds nothing', () => assert.deepEqual(changed([], [option('ADD_IF_ABSENT', '')]), []));

it('the narrower scope goes first, so that the wider one has the last word', () => {
  const headers = ['x', 'old'];
  const destination = changeOf([option('OVERWRITE_IF_EXISTS_OR_ADD', 'destination')]);
  const route = changeOf([option('OVERWRITE_IF_EXISTS_OR_ADD', 'route')]);
  joinHeaderChanges(destination, route)!(headers, record);
  assert.deepEqual(headers, ['x', 'route']);
});

it('nothing to do is nothing', () => {
  assert.equal(changeOf([]), undefined);
  assert.equal(joinHeaderChanges(undefined, undefined), undefined);
  const only = changeOf([], ['x']);
  assert.equal(joinHeaderChanges(undefined, only), only);
  assert.equal(joinHeaderChanges(only, undefined), only);
});

for (const name of [':path', ':authority', 'Host', ''])
  it(`${JSON.stringify(name)} cannot be added`, () =>
    assert.throws(() => changeOf([option('ADD_IF_ABSENT', 'a', name)]), UnsupportedConfig));
