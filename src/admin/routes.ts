// Paths of the admin API. Everything is a view of the present; nothing here changes anything.
import { findKind } from '../api/kinds.js';
import { formatExposition, type Family } from '../telemetry/exposition.js';
import type { EdgeTraffic } from '../telemetry/traffic-window.js';
import type { MeshView, ObjectView } from './mesh-view.js';
import { statusPage } from './status-page.js';

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Content security policy, where the default (nothing) is too little. */
  readonly policy?: string;
}

type Handler = (url: URL) => AdminResponse | Promise<AdminResponse>;

export function createRoutes(view: MeshView): Handler {
  const exact: Readonly<Record<string, Handler>> = {
    '/': () => statusPage(view),
    '/readyz': () =>
      view.isEnding()
        ? { status: 503, contentType: 'text/plain', body: 'the mesh is ending\n' }
        : { status: 200, contentType: 'text/plain', body: 'ok\n' },
    '/metrics': async () => {
      await view.refresh();
      return {
        status: 200,
        contentType: 'text/plain; version=0.0.4; charset=utf-8',
        body: formatExposition(view.collector.totals, families(view)),
      };
    },
    '/api/workloads': () => json(view.workloads().map(({ uid: _uid, ...entry }) => entry)),
    '/api/diagnostics': () => json(view.diagnostics()),
    '/api/proxies': () => json(view.proxies()),
    '/api/proxy-status': async () => {
      await view.refresh();
      return json(view.proxyStatus());
    },
    '/api/overview': async () => {
      await view.refresh();
      return json(overview(view));
    },
  };
  return async (url) => {
    const handler = exact[url.pathname];
    if (handler !== undefined) return handler(url);
    const [, namespace, workload] = /^\/api\/proxy-config\/([-a-z0-9.]+)\/([-a-z0-9.]+)$/.exec(url.pathname) ?? [];
    if (workload !== undefined) {
      await view.refresh(); // what ports have taught is no older than the question
      const config = view.proxyConfig(namespace!, workload);
      if (config !== undefined) return json(config);
    }
    const match = /^\/api\/objects\/([a-z]+)$/.exec(url.pathname);
    const kind = match === null ? undefined : findKind(match[1]!);
    if (kind !== undefined) return json(objectList(view.objects().filter(({ object }) => object.kind === kind.kind)));
    return { status: 404, contentType: 'text/plain', body: 'not found; the status page is at /\n' };
  };
}

/** What a live view shows. */
export function overview(view: MeshView) {
  const { collector } = view;
  const destinations = new Map(collector.window.edges('destination').map((edge) => [edgeKey(edge), edge.security]));
  return {
    version: view.version,
    directory: view.directory,
    trustDomain: view.trustDomain,
    workloads: view.workloads(),
    plaintext: view.plaintextWorkloads(),
    diagnostics: view.diagnostics(),
    // The caller's side counts what the user saw; the called side knows how it was secured.
    edges: collector.window
      .edges('source')
      .map((edge) => ({ ...edge, security: destinations.get(edgeKey(edge)) ?? edge.security })),
    certificates: [...collector.certificates].map(([workload, { spiffeId, notAfterMs }]) => ({
      workload,
      spiffeId,
      notAfterMs: Number(notAfterMs),
    })),
  };
}

export type Overview = ReturnType<typeof overview>;

function edgeKey(edge: EdgeTraffic): string {
  const { source, sourceNamespace, destination, destinationNamespace, protocol } = edge;
  return [source, sourceNamespace, destination, destinationNamespace, protocol].join('/');
}

function objectList(objects: readonly ObjectView[]) {
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: objects.map(({ object, accepted, message }) => ({
      apiVersion: object.apiVersion,
      kind: object.kind,
      metadata: {
        name: object.name,
        namespace: object.namespace,
        ...(object.labels === undefined ? {} : { labels: object.labels, annotations: object.annotations }),
      },
      ...(object.spec === undefined ? {} : { spec: object.spec }),
      status: {
        conditions: [
          { type: 'Accepted', status: accepted ? 'True' : 'False', reason: accepted ? 'Accepted' : 'Invalid', message },
        ],
        origin: object.origin.line > 0 ? `${object.origin.file}:${object.origin.line}` : object.origin.file,
      },
    })),
  };
}

function families(view: MeshView): Family[] {
  const rejected = view.objects().filter(({ accepted }) => !accepted);
  return [
    {
      name: 'lateen_config_rejected',
      type: 'gauge',
      help: 'Objects whose present version is refused.',
      samples: rejected.map(({ object }) => ({
        labels: ['kind', object.kind, 'namespace', object.namespace, 'name', object.name],
        value: 1,
      })),
    },
    {
      name: 'lateen_diagnostics',
      type: 'gauge',
      help: 'Diagnostics about the configuration, by severity.',
      samples: (['error', 'warning', 'info'] as const).map((severity) => ({
        labels: ['severity', severity],
        value: view.diagnostics().filter((diagnostic) => diagnostic.severity === severity).length,
      })),
    },
    {
      name: 'lateen_workload_ready',
      type: 'gauge',
      help: 'Whether the application of a workload takes connections.',
      samples: view.workloads().map(({ name, namespace, ready }) => ({
        labels: ['namespace', namespace, 'workload', name],
        value: ready ? 1 : 0,
      })),
    },
    {
      name: 'lateen_proxy_synced',
      type: 'gauge',
      help: 'Whether a connected proxy has acknowledged the configuration that it should have.',
      samples: view
        .proxies()
        .map(({ workload, synced }) => ({ labels: ['workload', workload], value: synced ? 1 : 0 })),
    },
    {
      name: 'lateen_certificate_expiration_timestamp_seconds',
      type: 'gauge',
      help: 'When the certificate that a workload shows ends, in seconds since 1970.',
      samples: [...view.collector.certificates].map(([workload, { spiffeId, notAfterMs }]) => ({
        labels: ['workload', workload, 'spiffe_id', spiffeId],
        value: Number(notAfterMs) / 1000,
      })),
    },
    {
      name: 'lateen_control_series_dropped_total',
      type: 'counter',
      help: 'Series of proxies that found no room in the control plane.',
      samples: [{ labels: [], value: view.collector.dropped }],
    },
  ];
}

function json(value: unknown): AdminResponse {
  return { status: 200, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}
