// The control plane's end of the observation stream: hands reports to the collector, and asks for fresh ones on demand.
import type { Metadata, ServerDuplexStream } from '@grpc/grpc-js';
import { create } from '@bufbuild/protobuf';
import { refuseUnauthenticated } from '../util/grpc.js';
import type { Collector } from './collector.js';
import { DirectiveSchema, type Directive, type Report } from './gen/observation_pb.js';

type Call = ServerDuplexStream<Report, Directive>;

export interface ObservationServiceOptions {
  readonly collector: Collector;
  /** The workload that the call's credentials prove; undefined refuses. */
  readonly authenticate: (metadata: Metadata) => string | undefined;
}

export class ObservationServer {
  readonly #options: ObservationServiceOptions;
  readonly #calls = new Map<Call, { answered: bigint; readonly waiting: Set<() => void> }>();
  #asked = 0n;

  constructor(options: ObservationServiceOptions) {
    this.#options = options;
  }

  /** Handles one Observe call. */
  readonly handle = (call: Call): void => {
    const workload = this.#options.authenticate(call.metadata);
    if (workload === undefined) {
      refuseUnauthenticated(call, 'the token is not one of a workload of this mesh');
      return;
    }
    const state = { answered: 0n, waiting: new Set<() => void>() };
    const { take, close } = this.#options.collector.open(workload);
    this.#calls.set(call, state);
    const release = () => {
      for (const resume of state.waiting) resume();
      state.waiting.clear();
    };
    call.on('data', (report: Report) => {
      take(report);
      if (report.answers > state.answered) state.answered = report.answers;
      if (state.answered >= this.#asked) release();
    });
    call.on('end', () => call.end());
    call.on('error', () => undefined); // the proxy is gone; 'close' follows
    call.on('close', () => {
      this.#calls.delete(call);
      close();
      release();
    });
  };

  /** Asks every proxy for its numbers and waits for the answers, at most `longestMs`. */
  async refresh(longestMs: number): Promise<void> {
    const asked = ++this.#asked;
    const waits: (() => void)[] = [];
    const answers = [...this.#calls].map(
      ([call, { waiting }]) =>
        new Promise<void>((resolve) => {
          waiting.add(resolve);
          waits.push(() => waiting.delete(resolve));
          // Who does not read is not asked again and again.
          if (!call.writableNeedDrain) call.write(create(DirectiveSchema, { report: asked }));
        }),
    );
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      Promise.all(answers),
      new Promise<void>((resolve) => (timer = setTimeout(resolve, longestMs))),
    ]);
    clearTimeout(timer);
    for (const giveUp of waits) giveUp(); // nobody waits for those that never answer
  }

  close(): void {
    for (const call of this.#calls.keys()) call.end();
  }
}
