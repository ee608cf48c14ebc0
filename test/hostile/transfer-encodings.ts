// Forms of Transfer-Encoding by which two servers could come to read a body differently: all must be refused.

export interface Disguise {
  readonly name: string;
  /** Header lines, each with the CR LF before it. */
  readonly lines: string;
}

const visible = (text: string) =>
  // oxlint-disable-next-line no-control-regex -- control characters are what is shown
  text.replace(/[\x00-\x1f\x7f-\xff]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
const lineOf = (line: string): Disguise => ({ name: visible(line.trimEnd()), lines: `\r\n${line}` });

const values = [
  'xchunked',
  'chunkedx',
  'chunk',
  'cow',
  'chunked, identity',
  'identity, chunked',
  'identity',
  'chunked, chunked',
  'chunked,',
  ', chunked',
  'chunked;a',
  'chunked;q=1',
  'chunked a',
  '"chunked"',
  "'chunked'",
  'chunked/1',
  'x chunked',
  'x, y, chunked',
  '',
];
/** Put before and behind the value. */
const around = ['\x0b', '\x0c', '\0', '\x01', '\x7f', '\x85', '\xa0', '\xff'];
/** Put into the name. */
const inNames = ['\0', '\x0b', '\x0c', '\x80', '\xa0', '\xff', ' ', '\t'];

export const transferEncodings: readonly Disguise[] = [
  ...values.map((value) => lineOf(`Transfer-Encoding: ${value}`)),
  ...around.flatMap((byte) => [
    lineOf(`Transfer-Encoding: ${byte}chunked`),
    { name: `chunked${visible(byte)} behind`, lines: `\r\nTransfer-Encoding: chunked${byte}` },
  ]),
  ...inNames.flatMap((byte) => [
    lineOf(`${byte}Transfer-Encoding: chunked`),
    lineOf(`Transfer-Encoding${byte}: chunked`),
    lineOf(`Transfer${byte}Encoding: chunked`),
  ]),
  // White space that the grammar allows and that servers have read differently; nobody sends it in good faith.
  { name: 'a tab before chunked', lines: '\r\nTransfer-Encoding:\tchunked' },
  { name: 'two spaces before chunked', lines: '\r\nTransfer-Encoding:  chunked' },
  { name: 'a tab behind chunked', lines: '\r\nTransfer-Encoding: chunked\t' },
  { name: 'a space behind chunked', lines: '\r\nTransfer-Encoding: chunked ' },
  { name: 'on the next line', lines: '\r\nTransfer-Encoding:\r\n chunked' },
  { name: 'on the next line after a tab', lines: '\r\nTransfer-Encoding:\r\n\tchunked' },
  { name: 'behind a bare line feed', lines: '\r\nX-A: b\nTransfer-Encoding: chunked' },
  { name: 'behind a bare carriage return', lines: '\r\nX-A: b\rTransfer-Encoding: chunked' },
  { name: 'before a bare line feed', lines: '\r\nTransfer-Encoding: chunked\nX-A: b' },
  { name: 'before a bare carriage return', lines: '\r\nTransfer-Encoding: chunked\rX-A: b' },
  { name: 'folded into another header', lines: '\r\nX-A: b\r\n Transfer-Encoding: chunked' },
  { name: 'twice, chunked both times', lines: '\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked' },
  { name: 'twice, chunked and identity', lines: '\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity' },
  { name: 'twice, identity and chunked', lines: '\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked' },
  { name: 'twice, chunked and something', lines: '\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: x' },
  { name: 'twice, empty and chunked', lines: '\r\nTransfer-Encoding:\r\nTransfer-Encoding: chunked' },
  { name: 'with an equals sign', lines: '\r\nTransfer-Encoding=chunked' },
  { name: 'without a colon', lines: '\r\nTransfer-Encoding chunked' },
  { name: 'with an underscore in its name', lines: '\r\nTransfer_Encoding: chunked' },
];
