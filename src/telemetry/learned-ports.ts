// What a proxy has learned of ports whose protocol nobody declared, as it tells its control plane.
import { LearnedProtocol as Message, type LearnedPort as LearnedPortMessage } from './gen/observation_pb.js';

/** What the last connection that told something carried: one of two versions of HTTP, or bytes, by who spoke first. */
export type LearnedProtocol = 'http' | 'http2' | 'client-first' | 'server-first';

export interface LearnedPort {
  /** Name of the listener. */
  readonly listener: string;
  readonly protocol: LearnedProtocol;
  /** Wall time since which it is so. */
  readonly sinceMs: number;
}

/** Most ports that one proxy tells, and that are kept of one. */
export const mostLearnedPorts = 1000;
const longestName = 512;

const messages = {
  http: Message.HTTP,
  http2: Message.HTTP2,
  'client-first': Message.CLIENT_FIRST,
  'server-first': Message.SERVER_FIRST,
} as const;

export function encodeLearnedPort({ listener, protocol, sinceMs }: LearnedPort): LearnedPortMessage {
  const $typeName = 'lateen.observation.v1.LearnedPort';
  return { $typeName, listener, protocol: messages[protocol], sinceMs: BigInt(Math.trunc(sinceMs)) };
}

/** What a proxy says; entries that mean nothing here are left out. */
export function decodeLearnedPorts(ports: readonly LearnedPortMessage[]): readonly LearnedPort[] {
  return ports.slice(0, mostLearnedPorts).flatMap(({ listener, protocol: message, sinceMs }) => {
    const protocol = (Object.keys(messages) as LearnedProtocol[]).find((name) => messages[name] === message);
    if (protocol === undefined || listener.length > longestName) return [];
    return [{ listener, protocol, sinceMs: Number(sinceMs) }];
  });
}
