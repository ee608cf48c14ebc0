// Every row, in the order of the report.
import { besideBulk } from './beside-bulk.js';
import { grpcStreams } from './grpc-streams.js';
import { handshakes } from './handshakes.js';
import { http1One, http1OneMb, http1Small, http1TenKb } from './http1.js';
import { grpcUnary, http2Small } from './http2.js';
import { idle } from './idle.js';
import { memory } from './memory.js';
import { newConnections } from './new-connections.js';
import { open1000, open200 } from './open-loop.js';
import type { Row } from './row.js';
import { tcpBulk } from './tcp-bulk.js';

export const allRows: readonly Row[] = [
  http1Small,
  http1One,
  http1TenKb,
  http1OneMb,
  open200,
  open1000,
  besideBulk,
  idle,
  http2Small,
  grpcUnary,
  grpcStreams,
  tcpBulk,
  handshakes,
  newConnections,
  memory,
];
