// Holds the limit of connections to what the process may open.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { it } from 'node:test';
import { ConnectionLimit } from './connection-limit.js';

const socket = () => new EventEmitter() as unknown as Socket;

it('leaves a file for each connection onwards, and some for the process itself', () => {
  const limit = new ConnectionLimit(64, () => 24);
  limit.measure();
  assert.equal(limit.most, 15);
  const sockets = Array.from({ length: 15 }, socket);
  for (const one of sockets) assert.equal(limit.take(one), true);
  assert.equal(limit.take(socket()), false);
  sockets[0]!.emit('close');
  assert.equal(limit.take(socket()), true);
  assert.equal(limit.take(socket()), false);
});

it('takes connections out of what it measures', () => {
  let files = 20;
  const limit = new ConnectionLimit(64, () => files);
  limit.measure();
  limit.take(socket());
  files = 22;
  limit.measure();
  assert.equal(limit.most, 17);
});

it('takes at least one, however low the limit, and any number where none is known', () => {
  assert.equal(new ConnectionLimit(8, () => 20).most, 1);
  assert.equal(new ConnectionLimit(Infinity, () => 20).most, Infinity);
});

it('has room onwards for as many as it takes, whoever they are for', () => {
  const limit = new ConnectionLimit(64, () => 24);
  limit.measure();
  const sockets = Array.from({ length: 15 }, socket);
  for (const one of sockets) {
    assert.equal(limit.hasRoomOnward, true);
    limit.countOnward(one);
  }
  assert.equal(limit.hasRoomOnward, false);
  assert.equal(limit.take(socket()), true, 'callers have their own room');
  sockets[0]!.emit('close');
  assert.equal(limit.hasRoomOnward, true);
});
