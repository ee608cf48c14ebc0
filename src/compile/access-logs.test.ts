// Access logs as MeshConfig asks for them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { meshFileOf } from '../../test/harness/objects.js';
import { whyNotAFormat } from '../api/command-operators.js';
import { FileAccessLogSchema } from '../xds/messages.js';
import { compileAccessLogs, defaultJsonFormat, defaultTextFormat } from './access-logs.js';

function logOf(meshConfig: string) {
  const [log] = compileAccessLogs(meshFileOf(`meshConfig: {${meshConfig}}\nservices: {a: {command: x}}`).meshConfig);
  if (log === undefined) return undefined;
  const { path, accessLogFormat } = anyUnpack(log.configType.value, FileAccessLogSchema)!;
  assert.ok(accessLogFormat.case === 'logFormat');
  const { format } = accessLogFormat.value;
  return [path, format.case === 'textFormatSource' ? format.value.specifier.value : format.value];
}

describe('access logs', () => {
  it('are none where no file is named', () => {
    assert.equal(logOf(''), undefined);
    assert.equal(logOf("accessLogFormat: '%PROTOCOL%'"), undefined);
  });

  it("have Istio's formats by default", () => {
    assert.deepEqual(logOf('accessLogFile: /dev/stdout'), ['/dev/stdout', defaultTextFormat]);
    assert.deepEqual(logOf('accessLogFile: /dev/stdout, accessLogEncoding: JSON'), ['/dev/stdout', defaultJsonFormat]);
  });

  it('end each line, also where the format does not', () => {
    assert.deepEqual(logOf("accessLogFile: a.log, accessLogFormat: '%PROTOCOL%'"), ['a.log', '%PROTOCOL%\n']);
    assert.deepEqual(logOf('accessLogFile: a.log, accessLogFormat: "%PROTOCOL%\\n"'), ['a.log', '%PROTOCOL%\n']);
  });

  it('have the fields that are asked for', () => {
    const format = '{"code": "%RESPONSE_CODE%", "fixed": "x"}';
    assert.deepEqual(logOf(`accessLogFile: a.log, accessLogEncoding: JSON, accessLogFormat: '${format}'`), [
      'a.log',
      JSON.parse(format),
    ]);
  });

  it("have defaults that use only what the proxy knows, the 24 fields of Istio's JSON among them", () => {
    assert.equal(whyNotAFormat(defaultTextFormat), undefined);
    assert.equal(Object.keys(defaultJsonFormat).length, 24);
    for (const value of Object.values(defaultJsonFormat)) assert.equal(whyNotAFormat(value as string), undefined);
  });
});
