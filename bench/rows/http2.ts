// HTTP/2 from the application to its proxy and from the other proxy to the backend, closed loop: small requests, and unary calls
// in the shape of gRPC.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backendPorts, grpcMessage, paths } from '../backends.js';
import { runH2load } from '../load/h2load.js';
import {
  bothSides,
  closedLoopFigures,
  h2loadIsNeeded,
  measureClosedLoop,
  type Row,
  type Settings,
  type Subject,
  type Values,
} from './row.js';

const connections = 8;
const streams = 8;

async function measureAt(
  path: string,
  headers: readonly string[],
  body: Buffer | undefined,
  { running, entrance }: Subject,
  { seconds, folder }: Settings,
): Promise<Values> {
  const bodyFile = body === undefined ? {} : { bodyFile: join(folder, 'request-body') };
  if (body !== undefined) writeFileSync(join(folder, 'request-body'), body);
  const url = `http://127.0.0.1:${entrance}${path}`;
  const load = { url, connections, streams, headers, ...bodyFile, logFile: join(folder, 'h2load.log') };
  await runH2load({ ...load, seconds: 1 });
  return measureClosedLoop(running, seconds, () => runH2load({ ...load, seconds }));
}

const load = `${connections} connections with ${streams} requests each in a closed loop`;

export const http2Small: Row = {
  name: 'h2-small',
  title: `HTTP/2, answers of 67 bytes, ${load}`,
  protocol: 'http2',
  backend: backendPorts.http2,
  needs: h2loadIsNeeded,
  figures: closedLoopFigures,
  targets: [],
  measure: (subject, settings) => measureAt(paths.small, [], undefined, subject, settings),
};

export const grpcUnary: Row = {
  name: 'grpc-unary',
  title: `gRPC, unary calls of 64 bytes each way, ${load}`,
  protocol: 'http2',
  backend: backendPorts.http2,
  needs: h2loadIsNeeded,
  figures: closedLoopFigures,
  targets: bothSides(0.6, 'envoy-h2'),
  measure: (subject, settings) =>
    measureAt(paths.grpc, ['content-type: application/grpc', 'te: trailers'], grpcMessage(64), subject, settings),
};
