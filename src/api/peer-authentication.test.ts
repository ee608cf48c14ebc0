// PeerAuthentication: what is taken, and what each refusal says.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { objectOf, refusalsOf } from '../../test/harness/objects.js';
import { fieldsOf } from '../../test/harness/schema-walk.js';
import { peerAuthenticationSpec } from './peer-authentication.js';

const refusals = (spec: string) => refusalsOf('PeerAuthentication', spec);

describe('a PeerAuthentication', () => {
  it('may have every field', () => {
    const { spec } = objectOf(
      'PeerAuthentication',
      'selector: {matchLabels: {app: a}}\nmtls: {mode: STRICT}\nportLevelMtls:\n  80: {mode: DISABLE}\n  "65535": {mode: UNSET}\n  8080: {}\n',
    );
    assert.deepEqual(spec, {
      selector: { matchLabels: { app: 'a' } },
      mtls: { mode: 'STRICT' },
      portLevelMtls: { 80: { mode: 'DISABLE' }, 8080: {}, 65535: { mode: 'UNSET' } },
    });
  });

  it('may say nothing', () => {
    assert.deepEqual(objectOf('PeerAuthentication', 'selector: {}\nmtls: {}').spec, { selector: {}, mtls: {} });
  });

  it('describes every field for the reference', () => {
    const silent = fieldsOf(peerAuthenticationSpec).filter(({ description }) => description === undefined);
    assert.deepEqual(silent, []);
  });
});

describe('a refused PeerAuthentication', () => {
  it('has a mode that does not exist', () => {
    assert.deepEqual(refusals('mtls:\n  mode: strict'), [
      'IST0106 2 mtls.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT',
    ]);
  });

  it('has port modes for all workloads', () => {
    const said = 'portLevelMtls: needs a selector with matchLabels';
    assert.deepEqual(refusals('portLevelMtls: {80: {mode: STRICT}}'), [`IST0106 1 ${said}`]);
    assert.deepEqual(refusals('selector: {matchLabels: {}}\nportLevelMtls: {80: {mode: STRICT}}'), [
      `IST0106 2 ${said}`,
    ]);
  });

  it('has ports that are none', () => {
    for (const port of ['0', '65536', '99999', 'http', '-1', '1.5'])
      assert.deepEqual(refusals(`selector: {matchLabels: {app: a}}\nportLevelMtls:\n  "${port}": {mode: STRICT}`), [
        /^[a-z]/.test(port)
          ? `IST0106 3 portLevelMtls.${port}: must be a port`
          : `IST0106 3 portLevelMtls["${port}"]: must be a port`,
      ]);
  });

  it('has a field that does not exist', () => {
    assert.deepEqual(refusals('mtsl: {mode: STRICT}'), ['IST0106 1 mtsl: is not a known field; did you mean mtls?']);
  });
});
