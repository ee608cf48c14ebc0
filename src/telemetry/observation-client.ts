// The proxy's end of the observation stream: once a second it reports the series that changed. Losing the stream loses
// nothing, because totals are told, not changes; and nothing is queued for a control plane that is away.
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { create } from '@bufbuild/protobuf';
import { Backoff } from '../util/backoff.js';
import type { GrpcCall, GrpcChannel } from '../util/grpc-channel.js';
import { grpcMethod } from '../util/grpc-method.js';
import { ObservationService, ReportSchema, type Report } from './gen/observation_pb.js';
import { encodeLearnedPort, mostLearnedPorts, type LearnedPort } from './learned-ports.js';
import type { Series, SeriesRegistry } from './series.js';

const method = grpcMethod(ObservationService.method.observe);
const reportEveryMs = 1000;
/** Series of one message: the control plane takes 4 MiB at a time, and the first report after a break names all of them. */
const mostInReport = 500;

export interface ObservationClientOptions {
  readonly channel: GrpcChannel;
  /** Credentials of the workload, as headers: name, value. */
  readonly headers: () => readonly string[];
  readonly registry: SeriesRegistry;
  /** Which of the workload's processes this is; default 0. */
  readonly worker?: number;
  /** The certificate that is shown now, or undefined before the first. */
  readonly certificate: () => { readonly spiffeId: string; readonly notAfterMs: number } | undefined;
  /** The configuration that is in force now, by type. */
  readonly applied: () => readonly AppliedResources[];
  /** What was learned of ports that nobody declared. */
  readonly learned: () => readonly LearnedPort[];
}

/** The resources of one type that a proxy works with. */
export interface AppliedResources {
  readonly typeUrl: string;
  /** Equal where names and versions are equal. */
  readonly version: string;
  readonly resources: number;
  /** How many were taken and wait for others before they serve. */
  readonly waiting: number;
}

export class ObservationClient {
  readonly #options: ObservationClientOptions;
  readonly #epoch = randomBytes(8).toString('hex');
  readonly #backoff = new Backoff({ firstMs: 100, longestMs: 5000 });
  #stream: GrpcCall<Report> | undefined;
  /** Series that the present stream knows by number: the index here. */
  #named = new Map<Series, number>();
  #blocked = false;
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #reportedNotAfterMs = 0;
  #reportedApplied: readonly AppliedResources[] = [];
  #reportedLearned: readonly LearnedPort[] = [];
  #closed = false;

  constructor(options: ObservationClientOptions) {
    this.#options = options;
  }

  start(): void {
    this.#connect();
    this.#timer = setInterval(() => this.#report(0n), reportEveryMs);
    this.#timer.unref();
  }

  /** Sends the last numbers and ends the stream. */
  close(): void {
    this.#report(0n);
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    this.#stream?.end();
  }

  #connect(): void {
    this.#stream = this.#options.channel.call(
      method,
      {
        onMessage: (directive) => {
          this.#backoff.reset();
          if (directive.report !== 0n) this.#report(directive.report);
        },
        onDrain: () => (this.#blocked = false),
        onEnd: () => {
          this.#stream = undefined;
          if (!this.#closed) this.#retry = setTimeout(() => this.#connect(), this.#backoff.next());
        },
      },
      { headers: this.#options.headers() },
    );
    this.#named = new Map();
    this.#blocked = false;
    this.#reportedNotAfterMs = 0;
    this.#reportedApplied = [];
    this.#reportedLearned = [];
    for (const series of this.#options.registry.all) series.changed = true;
    this.#report(0n);
  }

  #report(answers: bigint): void {
    if (this.#stream === undefined || (this.#blocked && answers === 0n)) return;
    let report = this.#begin();
    for (const series of this.#options.registry.all) {
      if (!series.changed) continue;
      if (report.points.length === mostInReport) {
        this.#stream.write(report);
        report = this.#begin();
      }
      series.changed = false;
      let id = this.#named.get(series);
      if (id === undefined) {
        id = this.#named.size;
        this.#named.set(series, id);
        report.definitions.push({
          $typeName: 'lateen.observation.v1.SeriesDefinition',
          id,
          kind: series.kind,
          name: series.name,
          labels: [...series.labels],
        });
      }
      report.points.push({ $typeName: 'lateen.observation.v1.SeriesPoint', id, values: Array.from(series.values) });
    }
    report.answers = answers;
    const certificate = this.#options.certificate();
    if (certificate !== undefined && certificate.notAfterMs !== this.#reportedNotAfterMs) {
      this.#reportedNotAfterMs = certificate.notAfterMs;
      report.certificate = {
        $typeName: 'lateen.observation.v1.Certificate',
        spiffeId: certificate.spiffeId,
        notAfterMs: BigInt(certificate.notAfterMs),
      };
    }
    const applied = this.#options.applied();
    if (!isDeepStrictEqual(applied, this.#reportedApplied)) {
      this.#reportedApplied = applied;
      for (const { typeUrl, version, resources, waiting } of applied)
        report.applied.push({
          $typeName: 'lateen.observation.v1.Applied',
          typeUrl,
          version,
          resources,
          waiting,
        });
    }
    const learned = this.#options.learned().slice(0, mostLearnedPorts);
    if (!isDeepStrictEqual(learned, this.#reportedLearned)) {
      this.#reportedLearned = learned;
      report.learned.push(...learned.map(encodeLearnedPort));
    }
    const told = report.points.length + report.applied.length + report.learned.length;
    const isEmpty = told === 0 && report.certificate === undefined;
    if (answers === 0n && isEmpty) return;
    this.#blocked = !this.#stream.write(report);
  }

  #begin(): Report {
    return create(ReportSchema, { epoch: this.#epoch, worker: this.#options.worker ?? 0 });
  }
}
