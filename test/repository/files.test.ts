// Files are named after what they hold, say what they are for, and tell nothing of the machine that they were written on.
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { listFiles, readText } from './files.js';

const files = listFiles();
const code = files.filter((file) => /^(src|test|bench|scripts)\/.*\.(ts|mjs|js)$/.test(file));
const stem = (file: string) => basename(file).replace(/(\.test)?\.[a-z]+$/, '');

describe('source files', () => {
  it('are named in kebab-case', () => {
    assert.deepEqual(
      code.filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem(file))),
      [],
    );
  });

  it('are not named after nothing in particular', () => {
    const empty = /^(utils?|helpers?|common|types?|managers?|misc)$|-(utils?|helpers?)$/;
    assert.deepEqual(
      code.filter((file) => empty.test(stem(file))),
      [],
    );
  });

  it('open with a sentence that says what they are for', () => {
    const silent = code.filter((file) => {
      const [first = '', second = ''] = readText(file).split('\n');
      const opening = first.startsWith('#!') ? second : first;
      return !/^\/\/ \S.{20,}/.test(opening) && !/^\/\*\*? ?/.test(opening);
    });
    assert.deepEqual(silent, []);
  });
});

describe('committed files', () => {
  const machine = [
    {
      what: 'a folder of one machine',
      pattern: /(?<![\w.$}~-])\/(work|root|home\/[a-z]+|Users\/[A-Za-z]+|mnt|data)\/[\w.-]+/,
    },
    {
      what: 'a host of a package registry',
      pattern: /https?:\/\/[\w.-]*(registry|npmjs|artifactory|nexus|verdaccio)[\w.-]*/i,
    },
    { what: 'a proxy of packages', pattern: /^\s*(registry|proxy|https-proxy|\/\/\S+:_authToken)\s*=/im },
  ];

  it('name no folders of a machine and no hosts that packages come from', () => {
    const found = files
      .filter((file) => file !== 'test/repository/files.test.ts' && !/\.(png|gif|svg|woff2?|ico)$/.test(file))
      .flatMap((file) =>
        readText(file)
          .split('\n')
          .flatMap((line, i) =>
            machine
              .filter(({ pattern }) => pattern.test(line))
              .map(({ what }) => `${file}:${i + 1} names ${what}: ${line.trim()}`),
          ),
      );
    assert.deepEqual(found, []);
  });

  it('hold no state of a run, nothing built and nothing generated', () => {
    assert.deepEqual(
      files.filter(
        (file) => /(^|\/)(node_modules|dist|gen|\.lateen)\//.test(file) || /\.(log|tgz|pem|key)$/.test(file),
      ),
      [],
    );
  });
});
