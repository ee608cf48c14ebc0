// Ranges of IP addresses, and whether an end of a connection lies in one. IPv4 addresses that are written as IPv6
// (::ffff:10.0.0.1), as sockets of both families do, are the IPv4 addresses that they mean.
import { isIPv4, isIPv6 } from 'node:net';
import type { CidrRange } from '../../xds/messages.js';
import { UnsupportedConfig } from '../http/matchers.js';
import type { ConnectionInfo } from '../listener/connection-info.js';
import type { Rule } from './rule.js';

/** An address as its 4 or 16 bytes. */
export type AddressBytes = readonly number[];

/** Whether the end of a connection lies in the range. */
export function compileAddressRange(range: CidrRange, end: 'localAddress' | 'remoteAddress'): Rule {
  const address = parseAddress(range.addressPrefix);
  if (address === undefined) throw new UnsupportedConfig(`${range.addressPrefix} is not an IP address`);
  // A range of mapped addresses is one of IPv4: its length counts from the beginning of the longer form.
  const mappedBits = address.length === 4 && !isIPv4(range.addressPrefix) ? 96 : 0;
  const bits = range.prefixLen === undefined ? 0 : Math.max(0, range.prefixLen - mappedBits);
  if (bits > address.length * 8) throw new UnsupportedConfig(`/${bits} is longer than ${range.addressPrefix}`);
  return (connection) => {
    const bytes = bytesOf(connection, end);
    return bytes !== undefined && isInRange(bytes, address, bits);
  };
}

function isInRange(address: AddressBytes, prefix: AddressBytes, bits: number): boolean {
  if (address.length !== prefix.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== prefix[i]) return false;
  const rest = 8 - (bits & 7);
  return rest === 8 || address[whole]! >> rest === prefix[whole]! >> rest;
}

/** Read once a connection, when the first policy asks. */
const known = new WeakMap<ConnectionInfo, Partial<Record<'localAddress' | 'remoteAddress', AddressBytes>>>();

function bytesOf(connection: ConnectionInfo, end: 'localAddress' | 'remoteAddress'): AddressBytes | undefined {
  let ends = known.get(connection);
  if (ends === undefined) known.set(connection, (ends = {}));
  const bytes = ends[end] ?? parseAddress(connection[end].slice(0, connection[end].lastIndexOf(':')));
  if (bytes !== undefined) ends[end] = bytes;
  return bytes;
}

/** The bytes of an address; the zone of a scoped one (`fe80::1%eth0`) says nothing of where it lies. */
export function parseAddress(text: string): AddressBytes | undefined {
  const zone = text.indexOf('%');
  const address = zone < 0 ? text : text.slice(0, zone);
  if (isIPv4(address)) return address.split('.').map(Number);
  if (!isIPv6(address)) return undefined;
  const bytes = bytesOfIPv6(address);
  const isMapped = bytes.every((byte, i) => i >= 12 || byte === (i < 10 ? 0 : 255));
  return isMapped ? bytes.slice(12) : bytes;
}

function bytesOfIPv6(address: string): number[] {
  const [before = '', after] = address.split('::');
  const head = bytesOfGroups(before);
  if (after === undefined) return head;
  const tail = bytesOfGroups(after);
  return [...head, ...Array.from({ length: 16 - head.length - tail.length }, () => 0), ...tail];
}

function bytesOfGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}
