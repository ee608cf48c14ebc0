// Listens to a server that was connected to ahead of its client's first byte, without losing a byte of what it says.
import type { ServerNews } from '../listener/filter-chain.js';
import type { Connected } from '../tls/connector.js';

/** How servers of HTTP begin, such as those that end an idle connection with 408: they wait for requests all the same. */
const httpAnswer = 'HTTP/1.';

export interface AwaitedServer {
  /** Listens no longer; the connection, paused, with all that the server has said. */
  stop(): Connected;
}

/** @param onServer called once, when it speaks or ends, and not before this has returned */
export function awaitServer(connected: Connected, onServer: (news: ServerNews) => void): AwaitedServer {
  const { socket } = connected;
  let said = connected.first;
  let isOver = false;
  const onData = (chunk: Buffer) => {
    said = said === undefined ? chunk : Buffer.concat([said, chunk]);
    tell();
  };
  const tell = () => {
    if (isOver) return;
    stop();
    onServer(said === undefined || said.toString('latin1', 0, httpAnswer.length) === httpAnswer ? 'over' : 'spoke');
  };
  const stop = () => {
    if (isOver) return;
    isOver = true;
    socket.off('data', onData);
    socket.off('end', tell);
    socket.off('close', tell);
    socket.pause();
  };
  socket.on('data', onData);
  socket.on('end', tell);
  socket.on('close', tell);
  if (said !== undefined) queueMicrotask(tell);
  else socket.resume();
  return {
    stop: () => {
      stop();
      return { ...connected, first: said };
    },
  };
}
