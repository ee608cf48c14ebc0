// Generates the TypeScript of every wire message from .proto files: Envoy's (shipped by a development dependency) and our own.
// Output goes to src/*/gen, which git ignores; scripts/build.mjs calls this when an input changed.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const shipped = join(root, 'node_modules/@grpc/grpc-js-xds/deps');

/** The Envoy messages that a mesh needs; what they import comes along. */
const envoyFiles = [
  'envoy/config/cluster/v3/cluster.proto',
  'envoy/config/core/v3/base.proto',
  'envoy/config/endpoint/v3/endpoint.proto',
  'envoy/config/listener/v3/listener.proto',
  'envoy/config/route/v3/route.proto',
  'envoy/config/trace/v3/zipkin.proto',
  'envoy/extensions/access_loggers/file/v3/file.proto',
  'envoy/extensions/filters/http/cors/v3/cors.proto',
  'envoy/extensions/filters/http/fault/v3/fault.proto',
  'envoy/extensions/filters/http/rbac/v3/rbac.proto',
  'envoy/extensions/filters/http/router/v3/router.proto',
  'envoy/extensions/filters/listener/http_inspector/v3/http_inspector.proto',
  'envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto',
  'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  'envoy/extensions/filters/network/rbac/v3/rbac.proto',
  'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
  'envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.proto',
  'envoy/extensions/path/match/uri_template/v3/uri_template_match.proto',
  'envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto',
  'envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.proto',
  'envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.proto',
  'envoy/extensions/transport_sockets/tls/v3/tls.proto',
  'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
  'envoy/service/discovery/v3/ads.proto',
  'xds/type/v3/typed_struct.proto',
];

/** Imports that only carry options (validation rules, documentation marks): never on the wire, so neither in our code. */
const optionFiles = /^(validate|udpa\/annotations|xds\/annotations|envoy\/annotations)\//;

const buf = (args, cwd) =>
  execFileSync(join(root, 'node_modules/.bin/buf'), args, {
    cwd,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, BUF_CACHE_DIR: join(cwd, '.buf-cache') },
  });

/** Some shipped validation options use a field that the shipped validate.proto lacks: a copy gets it. */
function mendValidate(folder) {
  const file = join(folder, 'validate/validate.proto');
  const text = readFileSync(file, 'utf8');
  if (text.includes('ignore_empty')) return;
  writeFileSync(file, text.replaceAll(/^(message \w+Rules \{)$/gm, '$1\n    optional bool ignore_empty = 1000;'));
}

/** Drops option extensions and the imports that define them from a descriptor set. */
function stripOptions(bytes) {
  const set = fromBinary(FileDescriptorSetSchema, bytes);
  set.file = set.file.filter((file) => !optionFiles.test(file.name));
  const strip = (descriptor) => {
    if (descriptor.options) descriptor.options.$unknown = [];
    for (const part of [
      'field',
      'nestedType',
      'enumType',
      'value',
      'oneofDecl',
      'extension',
      'messageType',
      'service',
      'method',
    ])
      for (const child of descriptor[part] ?? []) strip(child);
  };
  for (const file of set.file) {
    strip(file);
    const kept = file.dependency.filter((name) => !optionFiles.test(name));
    file.publicDependency = file.publicDependency.map((i) => kept.indexOf(file.dependency[i])).filter((i) => i >= 0);
    file.dependency = kept;
    file.weakDependency = [];
  }
  return toBinary(FileDescriptorSetSchema, set);
}

function generate(work, image, out) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const template = {
    version: 'v2',
    plugins: [
      {
        local: join(root, 'node_modules/.bin/protoc-gen-es'),
        out,
        strategy: 'all', // one call of the plugin for all folders: seconds instead of minutes
        include_imports: true,
        opt: ['target=ts', 'import_extension=js'],
      },
    ],
  };
  writeFileSync(join(work, 'template.json'), JSON.stringify(template));
  buf(['generate', image, '--template', 'template.json'], work);
}

function compile(work, folder, files) {
  const image = join(work, 'image.binpb');
  writeFileSync(join(folder, 'buf.yaml'), 'version: v2\n');
  buf(
    ['build', folder, '-o', image, '--exclude-source-info', ...files.flatMap((f) => ['--path', join(folder, f)])],
    work,
  );
  return image;
}

export function generateMessages() {
  const work = mkdtempSync(join(tmpdir(), 'lateen-protos-'));
  try {
    const envoy = join(work, 'envoy');
    for (const part of ['envoy-api', 'googleapis', 'protoc-gen-validate', 'xds'])
      cpSync(join(shipped, part), envoy, { recursive: true, filter: (from) => !/\/(java|tests|api\/v2)$/.test(from) });
    mendValidate(envoy);
    const image = compile(work, envoy, envoyFiles);
    writeFileSync(image, stripOptions(readFileSync(image)));
    generate(work, image, join(root, 'src/xds/gen'));
    for (const part of ['identity', 'telemetry']) {
      const own = join(work, part);
      cpSync(join(root, 'src', part, 'proto'), own, { recursive: true });
      generate(
        work,
        compile(
          work,
          own,
          readdirSync(own).filter((f) => f.endsWith('.proto')),
        ),
        join(root, 'src', part, 'gen'),
      );
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!existsSync(shipped)) throw new Error('the .proto files are missing: run `npm ci` first');
  generateMessages();
}
