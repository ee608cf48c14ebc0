// What stands behind the proxies: nginx for HTTP and bytes, a Node process for gRPC streams.
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, ftruncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mustBeFree, startProgram, stopProgram, waitForPort } from './pair.js';
import { startNginx } from './pairs/nginx.js';

/** Loopback ports: HTTP/1.1 (also what TCP is forwarded to), HTTP/2 without TLS, gRPC streams. */
export const backendPorts = { http1: 19000, http2: 19001, streams: 19002 } as const;

/** Paths of the backend and what they answer. */
export const paths = { small: '/x', oneKb: '/1k', tenKb: '/10k', oneMb: '/1m', bulk: '/big', grpc: '/grpc' } as const;

export const smallBody = 'hello from the backend, a body of some 64 bytes or so ............\n';
/** Fetched again and again for bulk; sparse. */
const bulkBytes = 256 * 1024 * 1024;

/** One message as gRPC frames it: not compressed, its length, its bytes. */
export function grpcMessage(length: number): Buffer {
  const message = Buffer.alloc(5 + length, 'm');
  message[0] = 0;
  message.writeUInt32BE(length, 1);
  return message;
}

export interface Backends {
  stop(): Promise<void>;
}

export async function startBackends(folder: string): Promise<Backends> {
  await Promise.all(Object.values(backendPorts).map(mustBeFree));
  const www = join(folder, 'www');
  mkdirSync(www);
  writeFileSync(join(www, '10k'), Buffer.alloc(10 * 1024, 't'));
  writeFileSync(join(www, '1m'), Buffer.alloc(1024 * 1024, 'm'));
  writeFileSync(join(www, 'grpc'), grpcMessage(64));
  const bulk = openSync(join(www, 'big'), 'w');
  ftruncateSync(bulk, bulkBytes);
  closeSync(bulk);
  const processes = [startHttp(folder, www), startStreams(folder)];
  const stop = async () => {
    await Promise.all(processes.map(stopProgram));
  };
  try {
    await Promise.all([
      waitForPort(backendPorts.http1, processes[0]!),
      waitForPort(backendPorts.http2, processes[0]!),
      waitForPort(backendPorts.streams, processes[1]!),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

function startHttp(folder: string, www: string): ChildProcess {
  const answers = `root ${www};
location = ${paths.small} { return 200 "${smallBody.trimEnd()}\\n"; }
location = ${paths.oneKb} { return 200 "${'k'.repeat(1024)}"; }`;
  return startNginx(
    folder,
    'backend',
    `access_log off; sendfile on; open_file_cache max=10;
server { listen 127.0.0.1:${backendPorts.http1} reuseport; ${answers} }
server { listen 127.0.0.1:${backendPorts.http2} http2; http2_max_concurrent_streams 1000; ${answers}
  # A file answers POST like GET when the refusal is turned into it; its trailer makes it an answer of gRPC.
  location = ${paths.grpc} { error_page 405 =200 $uri; default_type application/grpc; add_trailer grpc-status 0; } }`,
  );
}

function startStreams(folder: string): ChildProcess {
  const program = fileURLToPath(new URL('grpc-backend.js', import.meta.url));
  return startProgram(process.execPath, [program, String(backendPorts.streams)], folder);
}
