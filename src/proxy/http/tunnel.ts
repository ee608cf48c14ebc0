// Two connections that have switched protocols, joined: bytes both ways until both are over, or nothing goes for too long.
import { sweep } from '../net/sweeper.js';
import { relay, type RelayEnd, type RelayEvents } from '../tcp/relay.js';

/** @param idleTimeoutMs without a byte in either direction; Infinity: for ever */
export function joinTunnel(
  downstream: RelayEnd,
  upstream: RelayEnd,
  idleTimeoutMs: number,
  { onForward, onBackward, onClose }: RelayEvents,
): void {
  let lastByteMs = performance.now();
  const stopSweeping = sweep({
    onTick: (nowMs) => {
      if (nowMs - lastByteMs <= idleTimeoutMs) return;
      downstream.socket.destroy();
      upstream.socket.destroy();
    },
  });
  relay(downstream, upstream, {
    onForward: (bytes) => {
      lastByteMs = performance.now();
      onForward(bytes);
    },
    onBackward: (bytes) => {
      lastByteMs = performance.now();
      onBackward(bytes);
    },
    onClose: () => {
      stopSweeping();
      onClose();
    },
  });
}
