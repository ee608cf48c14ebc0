// Asks the authority for a certificate by Istio's signing API.
import type { Client, Metadata } from '@grpc/grpc-js';
import { create } from '@bufbuild/protobuf';
import {
  IstioCertificateRequestSchema,
  IstioCertificateService,
  type IstioCertificateResponse,
} from '../identity/gen/istio-ca_pb.js';
import { grpcMethod } from '../util/grpc.js';

const method = grpcMethod(IstioCertificateService.method.createCertificate);
const timeoutMs = 10_000;

/** PEM certificates, leaf first, root last. Lifetime is the authority's to choose. */
export function requestCertificate(channel: Client, credentials: Metadata, csrPem: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    channel.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      create(IstioCertificateRequestSchema, { csr: csrPem }),
      credentials,
      { deadline: Date.now() + timeoutMs },
      (error, response?: IstioCertificateResponse) => {
        if (error !== null || response === undefined)
          reject(new Error(error?.details ?? 'the authority did not answer'));
        else resolve(response.certChain);
      },
    );
  });
}
