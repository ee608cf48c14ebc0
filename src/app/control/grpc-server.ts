// Where proxies reach the control plane: three services on one socket of this machine, and on ports where mesh.yaml opens them.
import { Server, ServerCredentials, type UntypedHandleCall } from '@grpc/grpc-js';
import { rmSync } from 'node:fs';
import type { Authority } from '../../ca/authority.js';
import { createServerCertificate } from '../../ca/server-certificate.js';
import { IstioCertificateService } from '../../identity/gen/istio-ca_pb.js';
import { ObservationService } from '../../telemetry/gen/observation_pb.js';
import { grpcService } from '../../util/grpc.js';
import { AggregatedDiscoveryService } from '../../xds/messages.js';
import type { ControlStart } from '../role-messages.js';

/** Handlers of the three services, by method. */
export interface ControlHandlers {
  readonly deltaAggregatedResources: UntypedHandleCall;
  readonly createCertificate: UntypedHandleCall;
  readonly observe: UntypedHandleCall;
}

/** Listens; fails with the address where that is not possible. */
export async function serveGrpc(options: ControlStart, authority: Authority, handlers: ControlHandlers): Promise<void> {
  const { deltaAggregatedResources, createCertificate, observe } = handlers;
  const server = new Server({ 'grpc.max_receive_message_length': 4 * 1024 * 1024, 'grpc.enable_channelz': 0 });
  server.addService(grpcService(AggregatedDiscoveryService), { deltaAggregatedResources });
  server.addService(grpcService(IstioCertificateService), { createCertificate });
  server.addService(grpcService(ObservationService), { observe });
  // A control plane that was killed leaves its socket behind; the supervisor's lock says that nobody else uses it.
  rmSync(options.socketPath, { force: true });
  await bind(server, `unix:${options.socketPath}`, ServerCredentials.createInsecure());
  if (options.xdsPort !== 0) await bind(server, `127.0.0.1:${options.xdsPort}`, ServerCredentials.createInsecure());
  if (options.xdsTlsPort !== 0)
    await bind(server, `127.0.0.1:${options.xdsTlsPort}`, await serverCredentials(authority));
}

async function serverCredentials(authority: Authority): Promise<ServerCredentials> {
  const { privateKeyPem, chainPem } = await createServerCertificate(authority, Date.now());
  return ServerCredentials.createSsl(
    Buffer.from(authority.rootPem),
    [{ private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(chainPem) }],
    false,
  );
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<void> {
  return new Promise((resolve, reject) =>
    server.bindAsync(address, credentials, (error) =>
      error === null ? resolve() : reject(new Error(`cannot serve xDS on ${address}: ${error.message}`)),
    ),
  );
}
