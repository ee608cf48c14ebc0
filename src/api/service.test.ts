// Service objects: what is read of them, and what is refused.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { validateFile } from './validate.js';

const read = (apiVersion: string, spec: string) =>
  validateFile(
    'a.yaml',
    `apiVersion: ${apiVersion}\nkind: Service\nmetadata: {name: a, labels: {team: b}}\nspec: ${spec}\n`,
  )[0]!;

describe('a Service', () => {
  it('is taken with everything that Kubernetes knows', () => {
    const result = read(
      'v1',
      '{type: ClusterIP, clusterIP: None, selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}]}',
    );
    assert.ok('object' in result);
    assert.deepEqual([result.object.kind, result.object.labels], ['Service', { team: 'b' }]);
  });

  it('has ports that are ports', () => {
    for (const ports of ['[{port: 0}]', '[{port: web}]', '[{}]'])
      assert.deepEqual(
        read('v1', `{ports: ${ports}}`).diagnostics.map(({ line, path }) => `${line} ${path}`),
        ['4 spec.ports[0].port'],
        ports,
      );
  });

  it('is one of the core group, in v1', () => {
    assert.deepEqual(
      read('v2', '{}').diagnostics.map(({ message }) => message),
      ['Service exists in the core group as v1, not as v2; change apiVersion'],
    );
    assert.match(
      read('networking.istio.io/v1', '{}').diagnostics[0]!.message,
      /^Service belongs to the core group, not to networking\.istio\.io; write apiVersion: v1$/,
    );
  });
});
