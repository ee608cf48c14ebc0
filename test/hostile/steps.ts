// What is done on a connection, in order, and what comes back.
import type { Socket } from 'node:net';

/** Bytes (as latin1) in one write; or what else can be done. */
export type Step =
  | string
  /** Every byte in a packet of its own. */
  | { readonly oneByOne: string }
  /** Our FIN; reading goes on. */
  | 'end'
  /** Breaks the connection off. */
  | 'reset'
  /** Goes on once something has come back. */
  | 'wait-for-bytes';

/** Plays the steps; stops quietly where the other side has gone. */
export async function playSteps(socket: Socket, steps: readonly Step[]): Promise<void> {
  let received = socket.bytesRead;
  for (const step of steps) {
    if (socket.destroyed || socket.writableEnded) return;
    if (step === 'end') socket.end();
    else if (step === 'reset') breakOff(socket);
    else if (step === 'wait-for-bytes') {
      while (!socket.destroyed && !socket.readableEnded && socket.bytesRead === received) await nextTurn();
      received = socket.bytesRead;
    } else if (typeof step === 'string') await write(socket, step);
    else
      for (const byte of step.oneByOne) {
        if (socket.destroyed) return;
        await write(socket, byte);
        await nextTurn();
      }
  }
}

/** Over TLS it is the connection below that is reset. */
function breakOff(socket: Socket & { _parent?: Socket | null }): void {
  (socket._parent ?? socket).resetAndDestroy();
}

function write(socket: Socket, bytes: string): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, 'latin1', () => resolve()));
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export interface Heard {
  readonly bytes: string;
  /** `open`: nobody ended the connection within the time. */
  readonly end: 'open' | 'fin' | 'reset';
}

/**
 * Plays the steps and listens until the other side ends the connection, or `isEnough` says that nothing more is expected.
 * @param withinMs then the connection counts as left open
 */
export async function converse(
  socket: Socket,
  steps: readonly Step[],
  isEnough: (bytes: string) => boolean,
  withinMs = 10_000,
): Promise<Heard> {
  let bytes = '';
  const heard = new Promise<Heard>((resolve) => {
    const finish = (end: Heard['end']) => {
      clearTimeout(timer);
      resolve({ bytes, end });
    };
    const timer = setTimeout(() => finish('open'), withinMs);
    socket.on('data', (chunk) => {
      bytes += chunk.toString('latin1');
      if (isEnough(bytes)) finish('open');
    });
    socket.on('end', () => finish('fin'));
    socket.on('error', () => finish('reset'));
    socket.on('close', () => finish('fin'));
  });
  void playSteps(socket, steps);
  return heard;
}
