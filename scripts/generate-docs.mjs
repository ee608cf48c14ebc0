// Writes the reference pages from the schemas, so that what they say is what is checked: docs/compatibility.md (every kind
// and field of Istio's API, works or refused) and docs/mesh-yaml.md. `--check` only compares and fails where they differ.
//
// Usage: node scripts/generate-docs.mjs [--check]    (after a build: it reads dist/)
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { kinds, refusedKinds } = await import(join(root, 'dist/src/api/kinds.js'));
const { meshFileSchema } = await import(join(root, 'dist/src/api/mesh-file.js'));
const { meshConfigSchema } = await import(join(root, 'dist/src/api/mesh-config.js'));

const wrappers = new Set(['optional', 'nullable', 'default', 'prefault', 'readonly', 'nonoptional']);

/** The schema inside optional(), default() and the like. */
function inner(schema) {
  return wrappers.has(schema.def.type) ? inner(schema.def.innerType) : schema;
}

/** What was written with describe() or refused(), wherever among the wrappers it stands. */
function markOf(schema) {
  const mark = schema.meta();
  if (mark?.description !== undefined) return mark;
  return wrappers.has(schema.def.type) ? markOf(schema.def.innerType) : {};
}

/** Rows for every field below a schema; `seen` ends recursion. */
function* fieldsOf(schema, path = '', seen = []) {
  const core = inner(schema);
  if (seen.includes(core)) return;
  const deeper = [...seen, core];
  switch (core.def.type) {
    case 'object':
      for (const [name, field] of Object.entries(core.def.shape)) {
        const fieldPath = path === '' ? name : `${path}.${name}`;
        const mark = markOf(field);
        // What is refused as a whole, or nearly, is one row.
        if (mark.refused !== undefined) yield { path: fieldPath, ...mark };
        else if (mark.description !== undefined) {
          yield { path: fieldPath, ...mark };
          yield* fieldsOf(field, fieldPath, deeper);
        } else yield* fieldsOf(field, fieldPath, deeper);
      }
      break;
    case 'array':
      yield* fieldsOf(core.def.element, `${path}[]`, deeper);
      break;
    case 'record':
      yield* fieldsOf(core.def.valueType, `${path}.*`, deeper);
      break;
    default:
  }
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function stateOf({ refused }) {
  if (refused === undefined) return 'works';
  if (refused === 'not yet') return 'refused: not yet';
  return refused.startsWith('only') ? refused : `refused: ${refused}`;
}

function fieldTable(schema) {
  const rows = [...fieldsOf(schema)].map(
    (field) => `| \`${cell(field.path)}\` | ${cell(stateOf(field))} | ${cell(field.description ?? '')} |`,
  );
  return ['| field | state | meaning |', '|---|---|---|', ...rows].join('\n');
}

const generated = '<!-- Written by scripts/generate-docs.mjs from the schemas in src/api; change those. -->';

function compatibility() {
  const taken = kinds.map(
    ({ kind, group, versions, purpose, names }) =>
      `| ${kind} | ${group === '' ? 'core' : group} | ${versions.join(', ')} | ${purpose} | \`${names.join('`, `')}\` |`,
  );
  const refused = Object.entries(refusedKinds).flatMap(([group, names]) =>
    names.map((name) => `| ${name} | ${group === '' ? 'core' : group} |`),
  );
  return `${generated}

# Compatibility

What of Istio's API this version takes. Everything else is refused with a diagnostic that names the object, file and line,
the path of the field and what to do; nothing is ignored in silence. A field that this page does not name is unknown to Istio
too and is refused as a mistake.

## Kinds that work

| kind | group | versions | what for | names for \`lateen get\` |
|---|---|---|---|---|
${taken.join('\n')}

## Kinds that are refused: not yet

| kind | group |
|---|---|
${refused.join('\n')}

What runs is said in [mesh.yaml](mesh-yaml.md), which takes the place of Services, workloads and their endpoints; what runs
elsewhere is named by ServiceEntries. For one host mesh.yaml counts before Service objects, those before ServiceEntries.

${kinds.map(({ kind, spec }) => `## ${kind}\n\n${fieldTable(spec)}\n`).join('\n')}
## MeshConfig

Stands in mesh.yaml under \`meshConfig\`.

${fieldTable(meshConfigSchema)}

## Differences in behaviour

- A request for a host that is no service of the mesh is answered 404 with flag NR: sending it on to the outside (Istio's
  \`ALLOW_ANY\`) is not here yet.
- Without retries too a request is sent once more that is safe to repeat, met an idle connection that the server had just closed,
  and was not seen by it (RFC 9110 section 9.2.2).
- \`connectionPool.http.maxConcurrentStreams\` is 100 by default, in Istio 2^31-1, and so is what callers may have under way on one
  connection; of bodies 256 KiB are sent ahead on one stream, 1 MiB on a connection.
- On a port without a declaration a silent client's server may speak after 100 ms; in Istio it waits until the client has spoken
  (\`protocolDetectionTimeout\` 0s), or the client counts as one of bytes for ever after that time.
- Ports 25, 53, 3306 and 27017 without a declaration carry TCP in ServiceEntries and mesh.yaml too, not only in Services. Of upgrades only that to WebSocket is passed on, as in Istio.
- A gRPC call that takes too long is answered DEADLINE_EXCEEDED, whether its caller's \`grpc-timeout\` or the route's \`timeout\` ran out;
  Envoy answers UNAVAILABLE for the latter, which invites callers to repeat what may be done already. Errors of the proxy's own are
  INTERNAL. gRPC-Web passes untranslated, on ports named \`grpc-web\` too; what the proxy answers it is HTTP, which its clients read.
- A retry budget of 20 % (at least 3) holds for every host; in Istio only where a DestinationRule has one.
- Of several ServiceEntries for one host in one namespace the oldest counts; Istio adds their ports and endpoints up. A ServiceEntry
  with the host of a service of mesh.yaml has no effect at all.
- There is no redirection yet: applications reach the mesh at the addresses in their environment, see [mesh.yaml](mesh-yaml.md).
`;
}

function meshYaml() {
  return `${generated}

# mesh.yaml

Says what runs on this machine. \`lateen up DIR\` reads \`DIR/mesh.yaml\`, and every other YAML file below DIR as objects. Unknown
keys are refused. A change takes effect when the file is saved: only what changed is started again, new before old.

\`\`\`yaml
services:
  reviews:
    namespace: shop
    port: 9080
    versions:
      v1: { command: node reviews.mjs, replicas: 2 }
      v2: { command: node reviews.mjs, env: { STARS: black } }
  client: { command: node client.mjs }      # no port: it only calls others
\`\`\`

## What a started command finds in its environment

| variable | meaning |
|---|---|
| \`PORT\` | where it must listen, on 127.0.0.1; with several ports the first, the others are \`PORT_<NAME>\` |
| \`<SERVICE>_URL\` | \`http://127.0.0.1:<port>\`: calls to it go to that service through the mesh, whatever their Host says |
| \`<SERVICE>_ADDR\` | \`127.0.0.1:<port>\`: the same for TCP |
| \`HTTP_PROXY\`, \`http_proxy\`, \`NO_PROXY\`, \`NODE_USE_ENV_PROXY\` | the workload's outbound HTTP port, which routes by Host |

A service of another namespace is \`<SERVICE>_<NAMESPACE>_URL\`. Names are upper-cased, other characters become \`_\`.

## What a port carries

| protocol | how it is read | how the application is spoken to |
|---|---|---|
| \`http\` | request by request: routes, policies, metrics | HTTP/1.1 |
| \`http2\`, \`grpc\`, \`grpc-web\` | the same | HTTP/2 by prior knowledge, whatever the caller speaks |
| \`tcp\`, \`tls\`, \`https\` | as bytes | as the caller writes them |
| \`detect\`, the default | each connection by its first bytes: HTTP/1.1, HTTP/2, or bytes | as the caller speaks |

Nothing has to be declared for a server that speaks first: it is heard after 100 ms of silence, and from the second connection on at
once. \`lateen proxy-config listeners WORKLOAD\` shows what was learned of a port; a diagnostic (LAT0011) says what to declare.

## Fields

${fieldTable(meshFileSchema)}
`;
}

const pages = { 'docs/compatibility.md': compatibility(), 'docs/mesh-yaml.md': meshYaml() };
const isCheck = process.argv.includes('--check');
for (const [name, content] of Object.entries(pages)) {
  const path = join(root, name);
  const current = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  if (current === content) continue;
  if (isCheck) {
    process.stdout.write(`${name} is not what the schemas say; run \`npm run docs\`\n`);
    process.exitCode = 1;
    continue;
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  process.stdout.write(`wrote ${name}\n`);
}
