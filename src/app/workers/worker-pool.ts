// A data plane of several processes, seen from its first: it starts the workers, opens the ports that they share, and speaks to
// the supervisor as if it were one process. It carries no traffic and holds no keys of workloads.
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { RoleProcess } from '../../local/role-process.js';
import type { ProxyState } from '../../proxy/data-plane.js';
import type { FromDataPlane, ToDataPlane } from '../role-messages.js';
import { SharedPorts } from './shared-ports.js';
import { TogetherStates } from './together-states.js';
import type { FromWorker, ToWorker } from './worker-messages.js';

type Role = RoleProcess<ToWorker, FromWorker>;

const program = fileURLToPath(new URL('../../main.js', import.meta.url));
/** Traffic has ended before: this is for a worker that hears nothing any more. */
const stopWithinMs = 500;

export class WorkerPool {
  #send: (message: FromDataPlane) => void = () => undefined;
  readonly #roles: readonly Role[];
  readonly #ports: SharedPorts;
  readonly #states: TogetherStates;
  readonly #ticketSecret = randomBytes(32).toString('base64');
  #orders: ToDataPlane | undefined;
  /** Workers that have yet to end what they carried for a workload that is taken away, by its key. */
  readonly #ending = new Map<string, Set<number>>();
  /** Workers that have yet to do the present step of the end. */
  #draining: Set<number> | undefined;

  /** @param count number of workers, from 1 */
  constructor(count: number) {
    this.#states = new TogetherStates(count, (state) => this.#send({ kind: 'state', ...state }));
    this.#roles = Array.from({ length: count }, (_, index) => this.#createRole(index));
    this.#ports = new SharedPorts((worker, message, socket) => this.#roles[worker]!.send(message, socket));
  }

  /** Begins to speak to the supervisor; the returned function takes what it says. */
  readonly run = (send: (message: FromDataPlane) => void): ((message: ToDataPlane) => void) => {
    this.#send = send;
    return (message) => this.#tell(message);
  };

  /** Ends the workers, and collects them, which nobody else may do. */
  async stop(): Promise<void> {
    await Promise.all(this.#roles.map((role) => role.stop(stopWithinMs)));
  }

  /** Passes on what the supervisor says; workers that start later hear the newest. */
  #tell(orders: ToDataPlane): void {
    const isFirst = this.#orders === undefined;
    const running = this.#running();
    if (orders.drain !== undefined) this.#draining = new Set(running);
    else this.#noteEnding(orders, running);
    this.#orders = orders;
    for (const role of this.#roles) {
      if (isFirst) role.start();
      else role.send(orders);
    }
    this.#checkEnded();
  }

  #running(): number[] {
    return [...this.#roles.keys()].filter((index) => this.#roles[index]!.pid !== undefined);
  }

  #noteEnding({ workloads }: ToDataPlane, running: readonly number[]): void {
    const kept = new Set(workloads.map(({ key }) => key));
    for (const { key } of this.#orders?.workloads ?? []) {
      if (kept.has(key)) continue;
      this.#states.forget(key);
      this.#ending.set(key, new Set(running));
    }
  }

  #createRole(index: number): Role {
    const role: Role = new RoleProcess<ToWorker, FromWorker>({
      program,
      args: ['worker'],
      nodeOptions: process.execArgv,
      inGroup: true,
      onStart: () => {
        role.send({ kind: 'worker', index, ticketSecret: this.#ticketSecret });
        role.send(this.#orders!);
        this.#tellPids();
      },
      onMessage: (message) => this.#receive(index, message),
      onLine: (line) => process.stdout.write(`${line}\n`), // whole lines: all workers write to one place
      onGone: () => this.#gone(index),
      onUnexpectedExit: (reason, restartInMs) => {
        const pause = (restartInMs / 1000).toFixed(1);
        const message = `worker ${index}: ${reason}; the others go on, it is started again in ${pause} s`;
        this.#send({ kind: 'problem', message });
        this.#tellPids();
      },
    });
    return role;
  }

  #tellPids(): void {
    this.#send({ kind: 'workers', pids: this.#roles.flatMap(({ pid }) => pid ?? []) });
  }

  /** Its connections have ended with it; everybody else's go on. */
  #gone(index: number): void {
    this.#ports.remove(index);
    this.#states.remove(index);
    for (const workers of this.#ending.values()) workers.delete(index);
    this.#draining?.delete(index);
    this.#checkEnded();
  }

  #receive(index: number, message: FromWorker): void {
    switch (message.kind) {
      case 'state': {
        const { key, ready, problem }: ProxyState = message;
        if (this.#carries(key)) this.#states.set(index, { key, ready, problem });
        break;
      }
      case 'ended':
        this.#ending.get(message.key)?.delete(index);
        this.#checkEnded();
        break;
      case 'drained':
        this.#draining?.delete(index);
        this.#checkEnded();
        break;
      case 'problem':
      case 'workers':
        break; // said by a pool only
      default:
        this.#ports.receive(index, message);
    }
  }

  #carries(key: string): boolean {
    return this.#orders?.workloads.some((workload) => workload.key === key) === true;
  }

  /** Tells the supervisor what all workers have done. */
  #checkEnded(): void {
    for (const [key, workers] of this.#ending) {
      if (workers.size > 0) continue;
      this.#ending.delete(key);
      this.#send({ kind: 'ended', key });
    }
    if (this.#draining?.size === 0) {
      this.#draining = undefined;
      this.#send({ kind: 'drained' });
    }
  }
}
