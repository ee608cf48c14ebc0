// Certificates for tests: of the mesh's own authority, read from its state, and of authorities that nobody trusts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { Authority } from '../../src/ca/authority.js';
import { createSigningRequest } from '../../src/identity/signing-request.js';

export interface Credentials {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** The authority of a mesh, as somebody has it who could read its key. */
export function authorityOf(directory: string): Promise<Authority> {
  return Authority.open(readFileSync(join(directory, '.lateen/authority.pem'), 'utf8'));
}

export async function foreignAuthority(trustDomain = 'cluster.local'): Promise<Authority> {
  return (await Authority.create(trustDomain, Date.now())).authority;
}

/** A key and a certificate with the names. */
export async function issue(
  authority: Authority,
  names: readonly string[],
  { lifetimeMs = 3_600_000, nowMs = Date.now() } = {},
): Promise<Credentials> {
  const { csrPem, privateKey } = createSigningRequest();
  const { chain } = await authority.sign(csrPem, {
    names: names.map((value) => ({
      type: value.startsWith('spiffe:') || value.includes('://') ? 'url' : 'dns',
      value,
    })),
    lifetimeMs,
    nowMs,
  });
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: chain[0]!, ca: chain[1]! };
}

export interface HandshakeResult {
  /** What the server sent after a request; empty where it refused. */
  readonly answer: string;
  readonly resumed: boolean;
  /** A session ticket that the server gave, if any. */
  readonly session: Buffer | undefined;
}

/** Opens a TLS connection to an inbound port, sends a request, and tells what came of it. Server and identity are not checked. */
export function tryRequest(
  port: number,
  credentials: Credentials | undefined,
  {
    session,
    serverName = 'outbound_.8080_._.web.default.svc.cluster.local',
  }: { session?: Buffer; serverName?: string } = {},
): Promise<HandshakeResult> {
  return new Promise((resolve) => {
    let answer = '';
    let ticket: Buffer | undefined;
    let resumed = false;
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ...(credentials === undefined ? {} : { key: credentials.key, cert: credentials.cert }),
      rejectUnauthorized: false,
      servername: serverName,
      minVersion: 'TLSv1.3',
      ...(session === undefined ? {} : { session }),
    });
    socket.on('session', (received) => (ticket = received));
    socket.on('secureConnect', () => {
      resumed = socket.isSessionReused();
      socket.write('GET /status/200 HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n');
    });
    socket.on('data', (data) => (answer += data.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve({ answer, resumed, session: ticket }));
    socket.setTimeout(10_000, () => socket.destroy());
  });
}
