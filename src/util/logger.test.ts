// The project's own log.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Logger, printable, type LogLevel } from './logger.js';

function logged(level: LogLevel, write: (log: Logger) => void): string {
  let text = '';
  write(new Logger('control', level, (line) => (text += line)));
  return text;
}

describe('the log', () => {
  it('has one line an event with its fields, absent ones left out', () => {
    assert.equal(
      logged('info', (log) => log.warn('cannot read', { path: '/a b', tries: 2, why: undefined })),
      'warn  control  cannot read  path=/a b  tries=2\n',
    );
  });

  it('leaves out what is below its level', () => {
    const all = (log: Logger) => {
      log.debug('d');
      log.info('i');
      log.warn('w');
      log.error('e');
    };
    assert.equal(logged('warn', all).match(/\n/g)?.length, 2);
    assert.equal(logged('debug', all).match(/\n/g)?.length, 4);
    assert.equal(logged('silent', all), '');
  });

  it('stays one line whatever is told', () => {
    assert.equal(
      logged('info', (log) => log.info('a\nb', { reason: '\u001b[31mred\r\n' })),
      'info  control  a\\x0ab  reason=\\x1b[31mred\\x0d\\x0a\n',
    );
  });
});

it('printable text has no control characters and is otherwise the same', () => {
  assert.equal(printable('\u0000\u007f\u009b'), '\\x00\\x7f\\x9b');
  assert.equal(printable('caf\u00e9 \u2603 ~'), 'caf\u00e9 \u2603 ~');
});
