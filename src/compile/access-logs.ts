// Access logging as MeshConfig asks for it, with Istio's formats.
import type { JsonObject } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/mesh-config.js';
import { memoize } from '../util/memoize.js';
import { FileAccessLogSchema } from '../xds/messages.js';
import { typed } from './messages.js';

/** Istio's default line. */
export const defaultTextFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% ' +
  '%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

/** Istio's default fields. */
export const defaultJsonFormat: JsonObject = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};

/** The access logs of every filter that ends a request or a connection. */
export const compileAccessLogs = memoize((meshConfig: MeshConfig) => {
  if (meshConfig.accessLogFile === '') return [];
  const format =
    meshConfig.accessLogEncoding === 'JSON'
      ? { case: 'jsonFormat' as const, value: jsonFormat(meshConfig) }
      : {
          case: 'textFormatSource' as const,
          value: { specifier: { case: 'inlineString' as const, value: textFormat(meshConfig) } },
        };
  return [
    {
      name: 'envoy.access_loggers.file',
      configType: {
        case: 'typedConfig' as const,
        value: typed(FileAccessLogSchema, {
          path: meshConfig.accessLogFile,
          accessLogFormat: { case: 'logFormat', value: { format } },
        }),
      },
    },
  ];
});

function textFormat({ accessLogFormat }: MeshConfig): string {
  if (accessLogFormat === '') return defaultTextFormat;
  return accessLogFormat.endsWith('\n') ? accessLogFormat : `${accessLogFormat}\n`;
}

function jsonFormat({ accessLogFormat }: MeshConfig): JsonObject {
  return accessLogFormat === '' ? defaultJsonFormat : (JSON.parse(accessLogFormat) as JsonObject);
}
