// What a cluster says of connections where nobody set a limit, for tests that are about something else.
import { create } from '@bufbuild/protobuf';
import { readConnectionConfig } from '../../src/proxy/config/cluster-limits.js';
import { ClusterSchema } from '../../src/xds/messages.js';

const none = 0xffff_ffff;

export const unlimitedConnections = readConnectionConfig(
  create(ClusterSchema, {
    circuitBreakers: {
      thresholds: [{ maxConnections: none, maxPendingRequests: none, maxRequests: none, maxRetries: none }],
    },
  }),
);
