// What is under way in a cluster, against what may be: Envoy's circuit breakers, per proxy as there.
import type { ClusterLimits } from '../config/cluster-limits.js';

export const unlimited: ClusterLimits = {
  maxConnections: Infinity,
  maxPendingRequests: Infinity,
  maxRequests: Infinity,
  maxRetries: Infinity,
  retryBudget: undefined,
};

/** Counts of one cluster; they outlive changes of its configuration, as what they count does. */
export class ClusterUsage {
  limits: ClusterLimits = unlimited;
  connections = 0;
  /** Requests that wait for a connection. */
  pending = 0;
  /** Requests at endpoints, those that wait for a connection included. */
  requests = 0;
  /** Retries that wait or are at an endpoint. */
  retries = 0;

  get hasRoomForConnection(): boolean {
    return this.connections < this.limits.maxConnections;
  }

  get hasRoomForPending(): boolean {
    return this.pending < this.limits.maxPendingRequests;
  }

  get hasRoomForRequest(): boolean {
    return this.requests < this.limits.maxRequests;
  }

  /** Whether one more retry may begin, so that retries of a struggling service do not become its load. */
  get hasRoomForRetry(): boolean {
    const { maxRetries, retryBudget } = this.limits;
    if (retryBudget === undefined) return this.retries < maxRetries;
    return this.retries < Math.max(retryBudget.minConcurrency, Math.floor((this.requests * retryBudget.percent) / 100));
  }
}
