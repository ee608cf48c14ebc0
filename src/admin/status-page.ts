// The first, plain status page: who runs, who calls whom, and what is wrong. One document, nothing from outside, refreshed by
// asking the API again; every value is put in as text, never as markup.
import { createHash } from 'node:crypto';
import type { AdminResponse } from './routes.js';
import type { MeshView } from './mesh-view.js';

const style = `
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --good: #2e7d32; --soft: #777; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #81c784; --soft: #aaa; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; } .bad { color: var(--bad); } .good { color: var(--good); } .soft { color: var(--soft); }
`;

const script = `
const byId = (id) => document.getElementById(id);
const cell = (text, name) => { const td = document.createElement('td'); td.textContent = text; if (name) td.className = name; return td; };
const fill = (id, rows, empty) => {
  const body = byId(id); body.replaceChildren();
  if (rows.length === 0) { const td = cell(empty, 'soft'); td.colSpan = 9; const tr = document.createElement('tr'); tr.append(td); body.append(tr); }
  for (const cells of rows) { const tr = document.createElement('tr'); tr.append(...cells); body.append(tr); }
};
const amount = (bytes) => bytes < 1000 ? bytes.toFixed(0) + ' B' : bytes < 1e6 ? (bytes / 1e3).toFixed(1) + ' kB' : (bytes / 1e6).toFixed(1) + ' MB';
const left = (ms) => { const s = Math.round((ms - Date.now()) / 1000); return s < 0 ? 'expired' : s < 120 ? s + ' s' : s < 7200 ? Math.round(s / 60) + ' min' : Math.round(s / 3600) + ' h'; };
async function refresh() {
  try {
    const mesh = await (await fetch('/api/overview')).json();
    byId('title').textContent = mesh.directory;
    byId('sub').textContent = 'trust domain ' + mesh.trustDomain + ', lateen ' + mesh.version;
    const certificates = new Map(mesh.certificates.map((c) => [c.workload, c.notAfterMs]));
    fill('workloads', mesh.workloads.map((w) => [cell(w.name), cell(w.namespace), cell(w.version || '-'), cell(w.ready ? 'ready' : 'not ready', w.ready ? 'good' : 'bad'), cell(w.spiffeId), cell(certificates.has(w.uid) ? left(certificates.get(w.uid)) : '-'), cell(mesh.plaintext.includes(w.name) ? 'accepts plaintext' : 'mTLS only', mesh.plaintext.includes(w.name) ? 'bad' : 'good')]), 'no workload');
    fill('edges', mesh.edges.map((e) => {
      const http = e.protocol === 'http';
      return [
        cell(e.source), cell(e.destination === 'unknown' ? e.destinationService : e.destination), cell(http ? 'HTTP' : 'TCP'),
        cell(e.rate.toFixed(1), 'n'), cell(amount(e.bytesPerSecond), 'n'),
        cell(http ? (e.successRate * 100).toFixed(2) + ' %' : '-', 'n ' + (e.successRate < 0.99 ? 'bad' : '')),
        cell(http ? e.p50Ms.toFixed(1) + ' ms' : '-', 'n'), cell(http ? e.p99Ms.toFixed(1) + ' ms' : '-', 'n'),
        cell(e.security === 'mutual_tls' ? 'mTLS' : e.security, e.security === 'mutual_tls' ? 'good' : e.security === 'none' ? 'bad' : 'soft'),
      ];
    }), 'no traffic within the last 10 seconds');
    fill('diagnostics', mesh.diagnostics.map((d) => [cell(d.severity, d.severity === 'error' ? 'bad' : 'soft'), cell(d.line ? d.file + ':' + d.line : d.file), cell([d.object, d.path].filter(Boolean).join(' ')), cell(d.message)]), 'nothing to report');
    byId('state').textContent = ''; 
  } catch (error) { byId('state').textContent = 'The control plane does not answer; traffic goes on without it. Trying again.'; }
  setTimeout(refresh, 1000);
}
refresh();
`;

const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Lateen</title><style>${style}</style></head>
<body><h1 id="title">Lateen</h1><div id="sub" class="soft"></div><p id="state" class="bad" role="status"></p>
<h2>Calls within the last 10 seconds</h2>
<table><thead><tr><th>From</th><th>To</th><th>Protocol</th><th class="n" title="requests, or connections opened">Rate/s</th><th class="n">Bytes/s</th><th class="n">Success</th><th class="n">p50</th><th class="n">p99</th><th>Security</th></tr></thead><tbody id="edges"></tbody></table>
<h2>Workloads</h2>
<table><thead><tr><th>Name</th><th>Namespace</th><th>Version</th><th>State</th><th>Identity</th><th>Certificate</th><th>Accepts</th></tr></thead><tbody id="workloads"></tbody></table>
<h2>Diagnostics</h2>
<table><thead><tr><th>Severity</th><th>Where</th><th>What</th><th>Message</th></tr></thead><tbody id="diagnostics"></tbody></table>
<p class="soft">The same in the terminal: <code>lateen get workloads</code>, <code>lateen get diagnostics</code>; metrics at <code>/metrics</code>.</p>
<script>${script}</script></body></html>
`;

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const policy = `default-src 'none'; style-src ${hashOf(style)}; script-src ${hashOf(script)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

export function statusPage(_view: MeshView): AdminResponse {
  return { status: 200, contentType: 'text/html; charset=utf-8', body, policy };
}
