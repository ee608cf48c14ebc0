// Asks the authority for a certificate by Istio's signing API.
import { create } from '@bufbuild/protobuf';
import { IstioCertificateRequestSchema, IstioCertificateService } from '../identity/gen/istio-ca_pb.js';
import { callOnce, type GrpcChannel } from '../util/grpc-channel.js';
import { grpcMethod } from '../util/grpc-method.js';

const method = grpcMethod(IstioCertificateService.method.createCertificate);
const timeoutMs = 10_000;

/**
 * PEM certificates, leaf first, root last. Lifetime is the authority's to choose.
 * @param headers credentials of the workload: name, value
 */
export async function requestCertificate(
  channel: GrpcChannel,
  headers: readonly string[],
  csrPem: string,
): Promise<readonly string[]> {
  const request = create(IstioCertificateRequestSchema, { csr: csrPem });
  return (await callOnce(channel, method, request, { headers, timeoutMs })).certChain;
}
