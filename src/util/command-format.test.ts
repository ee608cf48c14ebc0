// Reading formats with command operators.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FormatError, parseCommandFormat } from './command-format.js';

describe('a format with command operators', () => {
  it('is literals and operators in turn', () => {
    assert.deepEqual(parseCommandFormat('[%START_TIME%] "%REQ(X-A?:PATH):12%" 100%%\n'), [
      '[',
      { name: 'START_TIME', argument: undefined, length: undefined },
      '] "',
      { name: 'REQ', argument: 'X-A?:PATH', length: 12 },
      '" 100%\n',
    ]);
  });

  it('keeps an argument with percent signs whole', () => {
    assert.deepEqual(parseCommandFormat('%START_TIME(%Y/%m/%d)%'), [
      { name: 'START_TIME', argument: '%Y/%m/%d', length: undefined },
    ]);
  });

  it('tells an empty argument from none', () => {
    assert.deepEqual(parseCommandFormat('%REQ()%'), [{ name: 'REQ', argument: '', length: undefined }]);
  });

  for (const bad of ['%', 'a%', '%a%', '%REQ(x%', '%REQ(x)', '%REQ(x):%', '%REQ(x):-1%', '% %', '%REQ %', '%%%'])
    it(`is refused as ${bad}`, () => assert.throws(() => parseCommandFormat(bad), FormatError));

  it('names the place of a percent sign that begins nothing', () => {
    assert.throws(() => parseCommandFormat('ab%%c%d'), { message: /position 5 / });
  });

  it('gives back any text whose percent signs are doubled', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parts = parseCommandFormat(text.replaceAll('%', '%%'));
        assert.deepEqual(parts, text === '' ? [] : [text]);
      }),
    );
  });

  it('gives back what was written', () => {
    const operator = fc.record(
      {
        name: fc.stringMatching(/^[A-Z_0-9]{1,8}$/),
        argument: fc.option(fc.stringMatching(/^[A-Za-z:?%-]{0,8}$/), { nil: undefined }),
        length: fc.option(fc.nat(), { nil: undefined }),
      },
      { noNullPrototype: true },
    );
    const literal = fc.stringMatching(/^[a-z %"\n]{1,6}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(literal, operator)), (pairs) => {
        const text = pairs
          .map(
            ([before, { name, argument, length }]) =>
              `${before.replaceAll('%', '%%')}%${name}${argument === undefined ? '' : `(${argument})`}${length === undefined ? '' : `:${length}`}%`,
          )
          .join('');
        assert.deepEqual(parseCommandFormat(text), pairs.flat());
      }),
    );
  });

  it('is read or refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('%', 'A', '(', ')', ':', '1', 'x') }), (text) => {
        try {
          parseCommandFormat(text);
        } catch (error) {
          assert.ok(error instanceof FormatError);
        }
      }),
    );
  });
});
