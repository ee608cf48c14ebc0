// gRPC streams in both directions, one message under way on each.
import { backendPorts } from '../backends.js';
import { runGrpcStreams } from '../load/grpc-streams.js';
import { cpuFigures, startMeter, type Row } from './row.js';

const streams = 64;

export const grpcStreams: Row = {
  name: 'grpc-streams',
  title: `gRPC, ${streams} streams that send a message of 100 bytes to and fro`,
  protocol: 'http2',
  backend: backendPorts.streams,
  figures: [...cpuFigures('round trip'), { key: 'rate', title: 'round trips/s', digits: 0, isInformation: true }],
  targets: [],
  measure: async ({ running, entrance }, { seconds }) => {
    await runGrpcStreams(entrance, { streams, seconds: 1 });
    const meter = startMeter(running);
    const roundTrips = await runGrpcStreams(entrance, { streams, seconds });
    const { client, server } = meter();
    return { rate: roundTrips / seconds, client: client / roundTrips, server: server / roundTrips };
  },
};
