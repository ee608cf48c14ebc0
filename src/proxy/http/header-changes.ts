// Header operations of routes, compiled once: remove first, then set and add, as Envoy orders them.
import { compileTextFormat } from '../../telemetry/access-log/format.js';
import type { AccessRecord } from '../../telemetry/access-log/record.js';
import { HeaderValueOption_HeaderAppendAction as AppendAction, type HeaderValueOption } from '../../xds/messages.js';
import { removeHeader, setHeader, type Headers } from './message.js';
import { UnsupportedConfig } from './matchers.js';

/** Changes headers in place; values may name facts of the request (`%DOWNSTREAM_REMOTE_ADDRESS%`). */
export type HeaderChange = (headers: Headers, record: AccessRecord) => void;

/** Compiles removals and additions; undefined where there is nothing to do. */
export function compileHeaderChanges(
  add: readonly HeaderValueOption[],
  remove: readonly string[],
): HeaderChange | undefined {
  if (add.length === 0 && remove.length === 0) return undefined;
  const removed = remove.map((name) => name.toLowerCase());
  const added = add.map(compileAddition);
  return (headers, record) => {
    for (const name of removed) removeHeader(headers, name);
    for (const change of added) change(headers, record);
  };
}

/** Runs the changes of the narrowest scope first, as Envoy does: destination, then route. */
export function joinHeaderChanges(
  first: HeaderChange | undefined,
  second: HeaderChange | undefined,
): HeaderChange | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return (headers, record) => {
    first(headers, record);
    second(headers, record);
  };
}

function compileAddition({ header, appendAction }: HeaderValueOption): HeaderChange {
  const name = header?.key.toLowerCase() ?? '';
  const template = header?.value ?? '';
  if (name === '' || name.startsWith(':') || name === 'host')
    throw new UnsupportedConfig(`header ${JSON.stringify(name)} cannot be added`);
  const valueOf = template.includes('%') ? compileTextFormat(template) : () => template;
  return (headers, record) => {
    const value = valueOf(record);
    if (value === '') return; // as in Envoy without keep_empty_value
    switch (appendAction) {
      case AppendAction.APPEND_IF_EXISTS_OR_ADD:
        headers.push(name, value);
        break;
      case AppendAction.OVERWRITE_IF_EXISTS_OR_ADD:
        setHeader(headers, name, value);
        break;
      case AppendAction.ADD_IF_ABSENT:
        if (!headers.some((other, i) => i % 2 === 0 && other === name)) headers.push(name, value);
        break;
      case AppendAction.OVERWRITE_IF_EXISTS:
        if (headers.some((other, i) => i % 2 === 0 && other === name)) setHeader(headers, name, value);
        break;
    }
  };
}
