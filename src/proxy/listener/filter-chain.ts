// Chooses what handles a connection, by what its first bytes tell: Envoy's filter chain match.
import type { Socket } from 'node:net';
import type { TlsAcceptor } from '../tls/acceptor.js';
import type { ConnectionInfo } from './connection-info.js';

/** A connection in the hands of a filter. */
export interface Handled {
  /** Whether nothing is under way on it. */
  readonly isIdle: boolean;
  /** Ends it as soon as that loses nothing. */
  drain(): void;
  destroy(): void;
}

/** What a server does that was connected to ahead: it has spoken, or it has gone, or never was there. */
export type ServerNews = 'spoke' | 'over';

/** The way to a server, opened before it was known what the client's connection carries. */
export interface OpenedAhead {
  /** It is for this filter: `first` and all that follows is carried. */
  claim(first: Buffer | undefined, onClose: () => void): Handled;
  /** It is not: the server loses its connection, and nothing of it is counted or logged. */
  abandon(): void;
}

/** Handles connections: HTTP or bytes. */
export interface NetworkFilter {
  /** @param onClose called once when the connection is over, or handed to another listener */
  handle(socket: Socket, first: Buffer | undefined, info: ConnectionInfo, onClose: () => void): Handled;
  /**
   * Connects to the server of a connection that is this filter's unless its client says otherwise; the socket is left to the caller.
   * Not there for filters that need a client's bytes first.
   * @param onServer called at most once, not before this has returned
   * @returns undefined where the client may not connect
   */
  openAhead?(socket: Socket, info: ConnectionInfo, onServer: (news: ServerNews) => void): OpenedAhead | undefined;
  /**
   * Takes the policies of `other`, a filter of newer configuration, for the next connection and the next request on open ones.
   * @returns false where the other is a filter of another kind
   */
  takePolicies(other: NetworkFilter): boolean;
}

export interface FilterChainMatch {
  /** `tls`, `raw_buffer`, or empty for both. */
  readonly transportProtocol: string;
  /** Protocols of which the client must offer one; that which it offers first decides. Empty: any. */
  readonly applicationProtocols: readonly string[];
  /** Server names, or `*.` and a suffix; empty: any. */
  readonly serverNames: readonly string[];
}

export interface FilterChain {
  /** Equal for configuration that is equal but for policies: connections of a chain that stays are left alone. */
  readonly key: string;
  readonly match: FilterChainMatch;
  /** Undefined where the chain takes bytes as they are. */
  readonly tls: TlsAcceptor | undefined;
  readonly filter: NetworkFilter;
}

/** What is known of a connection before a chain is chosen. */
export interface Inspection {
  readonly transportProtocol: 'tls' | 'raw_buffer';
  readonly applicationProtocols: readonly string[];
  readonly serverName: string | undefined;
}

/** The most specific chain that matches: by server name, then transport, then the protocol that the client offers first. */
export function findChain(chains: readonly FilterChain[], inspection: Inspection): FilterChain | undefined {
  let best: FilterChain | undefined;
  let bestRank = -1;
  for (const chain of chains) {
    const rank = rankOf(chain.match, inspection);
    if (rank > bestRank) [best, bestRank] = [chain, rank];
  }
  return best;
}

/** How specific a match is; -1 where it does not match. */
function rankOf(match: FilterChainMatch, { transportProtocol, applicationProtocols, serverName }: Inspection): number {
  const name = rankOfName(match.serverNames, serverName);
  if (name < 0) return -1;
  if (match.transportProtocol !== '' && match.transportProtocol !== transportProtocol) return -1;
  const protocol = rankOfProtocols(match.applicationProtocols, applicationProtocols);
  if (protocol < 0) return -1;
  return name * 4 + (match.transportProtocol === '' ? 0 : 2) + protocol;
}

/** From 1 for the client's first down to more than 0 for its last; 0 where the chain takes any. */
function rankOfProtocols(taken: readonly string[], offered: readonly string[]): number {
  if (taken.length === 0) return 0;
  const index = offered.findIndex((protocol) => taken.includes(protocol));
  return index < 0 ? -1 : 1 / (1 + index);
}

function rankOfName(patterns: readonly string[], serverName: string | undefined): number {
  if (patterns.length === 0) return 0;
  if (serverName === undefined) return -1;
  let best = -1;
  for (const pattern of patterns) {
    if (pattern === serverName) return 1000;
    if (pattern.startsWith('*.') && serverName.endsWith(pattern.slice(1))) best = Math.max(best, pattern.length);
  }
  return best;
}
