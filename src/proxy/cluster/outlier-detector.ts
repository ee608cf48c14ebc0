// Takes endpoints that fail again and again out of the choice for a while (Envoy's outlier detection, without its statistics).
import type { OutlierConfig } from '../config/cluster-limits.js';

/** How an attempt at an endpoint ended: the status it answered with, or that it did not answer. */
export type AttemptResult = number | 'failed';

/** What is known of one endpoint. */
interface Health {
  serverErrors: number;
  gatewayErrors: number;
  localFailures: number;
  /** How often it was ejected lately: each time doubles down on the time it stays out. */
  ejections: number;
  /** Monotonic time at which it comes back; undefined while it is in the choice. */
  ejectedUntilMs: number | undefined;
}

/** Keeps count for the endpoints of one cluster. `T` is whatever stands for an endpoint. */
export class OutlierDetector<T extends object> {
  config: OutlierConfig;
  readonly #health = new Map<T, Health>();
  readonly #nowMs: () => number;
  readonly #onChange: () => void;
  #ejected = 0;

  /**
   * @param nowMs monotonic clock
   * @param onChange called when an endpoint leaves the choice or comes back
   */
  constructor(config: OutlierConfig, nowMs: () => number, onChange: () => void) {
    this.config = config;
    this.#nowMs = nowMs;
    this.#onChange = onChange;
  }

  /** Endpoints that are out of the choice now. */
  get ejected(): number {
    return this.#ejected;
  }

  /** The endpoints that there are; what is known of those that stay is kept. */
  setEndpoints(endpoints: readonly T[]): void {
    const present = new Set(endpoints);
    for (const [endpoint, health] of this.#health) {
      if (present.has(endpoint)) continue;
      if (health.ejectedUntilMs !== undefined) this.#ejected--;
      this.#health.delete(endpoint);
    }
    for (const endpoint of endpoints)
      if (!this.#health.has(endpoint))
        this.#health.set(endpoint, {
          serverErrors: 0,
          gatewayErrors: 0,
          localFailures: 0,
          ejections: 0,
          ejectedUntilMs: undefined,
        });
  }

  isEjected(endpoint: T): boolean {
    return this.#health.get(endpoint)?.ejectedUntilMs !== undefined;
  }

  /** Counts how an attempt ended. */
  record(endpoint: T, result: AttemptResult): void {
    const health = this.#health.get(endpoint);
    if (health === undefined || health.ejectedUntilMs !== undefined) return;
    const { consecutive5xx, consecutiveGatewayFailure, consecutiveLocalOriginFailure } = this.config;
    if (result === 'failed' && this.config.splitExternalLocalOrigin) {
      health.localFailures++;
      if (reached(health.localFailures, consecutiveLocalOriginFailure)) this.#eject(health);
      return;
    }
    // Without the split an endpoint that does not answer counts as one that answers 503.
    const status = result === 'failed' ? 503 : result;
    if (result !== 'failed') health.localFailures = 0;
    if (status < 500) {
      health.serverErrors = 0;
      health.gatewayErrors = 0;
      return;
    }
    health.serverErrors++;
    health.gatewayErrors = status >= 502 && status <= 504 ? health.gatewayErrors + 1 : 0;
    if (reached(health.serverErrors, consecutive5xx) || reached(health.gatewayErrors, consecutiveGatewayFailure))
      this.#eject(health);
  }

  /** Called once an interval: lets back in whose time is over, and forgives who behaved. */
  tick(): void {
    const nowMs = this.#nowMs();
    let changed = false;
    for (const health of this.#health.values()) {
      if (health.ejectedUntilMs === undefined) {
        if (health.ejections > 0) health.ejections--;
      } else if (nowMs >= health.ejectedUntilMs) {
        health.ejectedUntilMs = undefined;
        this.#ejected--;
        changed = true;
      }
    }
    if (changed) this.#onChange();
  }

  #eject(health: Health): void {
    health.serverErrors = 0;
    health.gatewayErrors = 0;
    health.localFailures = 0;
    const { maxEjectionPercent, alwaysEjectOne, baseEjectionMs, maxEjectionMs } = this.config;
    // As in Envoy the share is looked at before: a cluster of two with 10 % can lose one.
    const mayEject = (this.#ejected / this.#health.size) * 100 < maxEjectionPercent;
    if (!mayEject && !(alwaysEjectOne && this.#ejected === 0)) return;
    health.ejections++;
    const forMs = Math.min(baseEjectionMs * health.ejections, maxEjectionMs);
    health.ejectedUntilMs = this.#nowMs() + forMs;
    this.#ejected++;
    this.#onChange();
  }
}

function reached(count: number, limit: number): boolean {
  return limit > 0 && count >= limit;
}
