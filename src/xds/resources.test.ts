// Resources as they travel.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { create, fromBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from './messages.js';
import { encodeResource, findResourceType, resourceTypes, typeUrlOf } from './resources.js';

it('every type is found by its URL, which is that of Envoy', () => {
  for (const type of resourceTypes) assert.equal(findResourceType(typeUrlOf(type)), type);
  assert.equal(typeUrlOf('endpoints'), 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment');
  assert.equal(findResourceType('envoy.config.cluster.v3.Cluster'), undefined);
});

it('the version of a resource is that of its content', () => {
  const encode = (name: string) => encodeResource('cluster', name, create(ClusterSchema, { name }));
  assert.equal(encode('a').version, encode('a').version);
  assert.notEqual(encode('a').version, encode('b').version);
  assert.equal(fromBinary(ClusterSchema, encode('a').bytes).name, 'a');
});

it('the same message is encoded once', () => {
  const message = create(ClusterSchema, { name: 'a' });
  assert.equal(encodeResource('cluster', 'a', message), encodeResource('cluster', 'a', message));
});
