// Adds up what all proxies report: totals for /metrics, and a sliding minute for live views.
import type { Applied, Certificate, Report } from './gen/observation_pb.js';
import { SeriesKind } from './gen/observation_pb.js';
import { decodeLearnedPorts, type LearnedPort } from './learned-ports.js';
import { requestLayout } from './series.js';
import { TrafficWindow } from './traffic-window.js';

/** A row of the mesh: the sum of what proxies reported under the same labels. */
export interface Total {
  readonly kind: SeriesKind;
  readonly name: string;
  readonly labels: readonly string[];
  readonly values: Float64Array;
}

/** What one run of one process of a proxy last reported under some labels. */
interface Reported {
  readonly total: Total;
  readonly last: Float64Array;
}

interface ProxyRun {
  readonly epoch: string;
  readonly byLabels: Map<string, Reported>;
  /** What it showed last, or the run before it. */
  certificate: Certificate | undefined;
  /** What it last said is in force, while its stream is open. */
  applied: readonly Applied[] | undefined;
  /** What it last said of ports that nobody declared. */
  learned: readonly LearnedPort[];
  /** The stream that spoke last. */
  stream: ReportStream | undefined;
}

/** One stream of a proxy. */
export interface ReportStream {
  readonly take: (report: Report) => void;
  readonly close: () => void;
}

const lengths: Readonly<Partial<Record<SeriesKind, number>>> = {
  [SeriesKind.REQUESTS]: requestLayout.length,
  [SeriesKind.CONNECTIONS]: 4,
  [SeriesKind.COUNTER]: 1,
  [SeriesKind.GAUGE]: 1,
};
/** Most rows of the mesh; what comes beyond is counted only as dropped. */
const mostTotals = 100_000;
/** Most types of resources that a proxy may report. */
const mostTypes = 20;
/** Most processes of one proxy. */
const mostWorkers = 256;
/** Bounds of a label that a proxy may send. */
const mostLabels = 100;
const longestLabel = 1024;
/** Names as Prometheus has them, but for `le` and for those under which requests and connections are printed. */
const metricName = /^(?!istio_(?:requests?|response|tcp)_(?!messages_total$))[a-zA-Z_:][a-zA-Z0-9_:]{0,255}$/;
const labelName = /^(?!le$)[a-zA-Z_][a-zA-Z0-9_]{0,255}$/;

export class Collector {
  readonly window: TrafficWindow;
  readonly #totals = new Map<string, Total>();
  /** By workload and by number of the process. */
  readonly #runs = new Map<string, Map<number, ProxyRun>>();
  readonly #onLearned: () => void;
  #dropped = 0;

  /** @param onLearned called when a proxy has learned something of its ports */
  constructor(nowMs: () => number, onLearned: () => void = () => undefined) {
    this.window = new TrafficWindow(nowMs);
    this.#onLearned = onLearned;
  }

  get totals(): Iterable<Total> {
    return this.#totals.values();
  }

  /** Rows that found no room. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The certificate that each workload last showed; of several processes the one that ends first. */
  get certificates(): ReadonlyMap<string, Certificate> {
    const first = new Map<string, Certificate>();
    for (const [workload, runs] of this.#runs)
      for (const { certificate } of runs.values()) {
        const other = first.get(workload);
        if (certificate !== undefined && (other === undefined || certificate.notAfterMs < other.notAfterMs))
          first.set(workload, certificate);
      }
    return first;
  }

  /** What each connected process of a workload's proxy last said is in force, by type. */
  appliedBy(workload: string): (readonly Applied[])[] {
    return [...(this.#runs.get(workload)?.values() ?? [])].flatMap(({ applied }) =>
      applied === undefined ? [] : [applied],
    );
  }

  /** What the processes of a workload's proxy last said of ports that nobody declared; of several that which is newest. */
  learnedBy(workload: string): readonly LearnedPort[] {
    const newest = new Map<string, LearnedPort>();
    for (const { learned } of this.#runs.get(workload)?.values() ?? [])
      for (const port of learned)
        if (port.sinceMs > (newest.get(port.listener)?.sinceMs ?? -Infinity)) newest.set(port.listener, port);
    return [...newest.values()];
  }

  /** Begins a stream of a workload's proxy. */
  open(workload: string): ReportStream {
    const byId = new Map<number, Reported>();
    let last: ProxyRun | undefined;
    const take = (report: Report) => {
      if (report.worker >= mostWorkers) return;
      const run = (last = this.#runOf(workload, report));
      run.stream = stream;
      for (const { id, kind, name, labels } of report.definitions) {
        const reported = this.#reported(run, kind, name, labels);
        if (reported !== undefined) byId.set(id, reported);
      }
      for (const { id, values } of report.points) {
        const reported = byId.get(id);
        if (reported !== undefined && values.length === reported.last.length) this.#add(reported, values);
      }
      if (report.certificate !== undefined) run.certificate = report.certificate;
      if (report.applied.length > 0) run.applied = report.applied.slice(0, mostTypes);
      if (report.learned.length > 0) {
        run.learned = decodeLearnedPorts(report.learned);
        this.#onLearned();
      }
    };
    const close = () => {
      if (last?.stream === stream) last.applied = undefined; // else the next stream was there before this one ended
    };
    const stream = { take, close };
    return stream;
  }

  /** Forgets what belongs to a workload that is gone; what it counted stays counted. */
  forget(workload: string): void {
    for (const run of this.#runs.get(workload)?.values() ?? []) this.#endRun(run);
    this.#runs.delete(workload);
  }

  /** Totals of counters outlive the proxy that counted; its gauges go with it. */
  #endRun(run: ProxyRun | undefined): void {
    for (const { total, last } of run?.byLabels.values() ?? [])
      if (total.kind === SeriesKind.GAUGE) total.values[0]! -= last[0]!;
  }

  #runOf(workload: string, { epoch, worker }: Report): ProxyRun {
    let runs = this.#runs.get(workload);
    if (runs === undefined) this.#runs.set(workload, (runs = new Map()));
    const before = runs.get(worker);
    if (before?.epoch === epoch) return before;
    this.#endRun(before);
    const run: ProxyRun = {
      epoch,
      byLabels: new Map(),
      certificate: before?.certificate,
      applied: undefined,
      learned: [],
      stream: undefined,
    };
    runs.set(worker, run);
    return run;
  }

  #reported(run: ProxyRun, kind: SeriesKind, name: string, labels: readonly string[]): Reported | undefined {
    const length = lengths[kind];
    if (length === undefined || !isPrintable(kind, name, labels)) return undefined;
    const key = JSON.stringify([kind, name, ...labels]);
    let reported = run.byLabels.get(key);
    if (reported === undefined) {
      let total = this.#totals.get(key);
      if (total === undefined) {
        if (this.#totals.size >= mostTotals) {
          this.#dropped++;
          return undefined;
        }
        total = { kind, name, labels, values: new Float64Array(length) };
        this.#totals.set(key, total);
      }
      reported = { total, last: new Float64Array(length) };
      run.byLabels.set(key, reported);
    }
    return reported;
  }

  #add({ total, last }: Reported, values: readonly number[]): void {
    if (!values.every(Number.isFinite)) return; // once in a total it would never leave
    if (total.kind === SeriesKind.REQUESTS || total.kind === SeriesKind.CONNECTIONS)
      this.window.add(total, values, last);
    for (let i = 0; i < last.length; i++) {
      total.values[i]! += values[i]! - last[i]!;
      last[i] = values[i]!;
    }
  }
}

/** Whether a row can be printed without spoiling the page for all: what proxies send is not trusted. */
function isPrintable(kind: SeriesKind, name: string, labels: readonly string[]): boolean {
  const isNamed = kind === SeriesKind.COUNTER || kind === SeriesKind.GAUGE;
  return (
    (isNamed ? metricName.test(name) : name === '') &&
    labels.length <= mostLabels &&
    labels.length % 2 === 0 &&
    labels.every((label, i) => (i % 2 === 0 ? labelName.test(label) : label.length <= longestLabel))
  );
}
