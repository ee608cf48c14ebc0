// Istio's certificate signing API: whoever proves to be a workload gets a certificate for that workload, whatever names the
// request carries.
import { status, type Metadata, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { create } from '@bufbuild/protobuf';
import {
  IstioCertificateResponseSchema,
  type IstioCertificateRequest,
  type IstioCertificateResponse,
} from '../identity/gen/istio-ca_pb.js';
import type { Logger } from '../util/logger.js';
import { messageOf } from '../util/errors.js';
import { SigningRefused, type Authority } from './authority.js';

/** Longest life that anybody may ask for: Istio's 90 days. */
const longestLifetimeMs = 90 * 24 * 3_600_000;

export interface CertificateServiceOptions {
  readonly authority: Authority;
  /** SPIFFE ID that the call's credentials prove; undefined refuses. */
  readonly authenticate: (metadata: Metadata) => string | undefined;
  /** Life of certificates where the caller asks for none, in milliseconds. */
  readonly lifetimeMs: () => number;
  readonly log: Logger;
  readonly onIssued?: (spiffeId: string, notAfterMs: number) => void;
}

type Call = ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>;

/** The handler of `CreateCertificate`. */
export function createCertificate(options: CertificateServiceOptions) {
  return (call: Call, reply: sendUnaryData<IstioCertificateResponse>): void => {
    issue(options, call).then(
      (chain) => reply(null, create(IstioCertificateResponseSchema, { certChain: [...chain] })),
      (error: unknown) => {
        const known = error instanceof Refusal;
        if (!known) options.log.error('issuing a certificate failed', { reason: messageOf(error) });
        reply({
          code: known ? error.status : status.INTERNAL,
          details: known ? error.message : 'the authority failed; see its log',
        });
      },
    );
  };
}

class Refusal extends Error {
  readonly status: status;

  constructor(code: status, message: string) {
    super(message);
    this.status = code;
  }
}

async function issue(
  { authority, authenticate, lifetimeMs, onIssued }: CertificateServiceOptions,
  call: Call,
): Promise<readonly string[]> {
  const spiffeId = authenticate(call.metadata);
  if (spiffeId === undefined)
    throw new Refusal(status.UNAUTHENTICATED, 'the token is not one of a workload of this mesh');
  const wantedMs = Number(call.request.validityDuration) * 1000;
  if (wantedMs > longestLifetimeMs)
    throw new Refusal(status.INVALID_ARGUMENT, `certificates live at most ${longestLifetimeMs / 3_600_000}h`);
  try {
    const { chain, notAfterMs } = await authority.sign(call.request.csr, {
      names: [{ type: 'url', value: spiffeId }],
      lifetimeMs: wantedMs > 0 ? wantedMs : lifetimeMs(),
      nowMs: Date.now(),
    });
    onIssued?.(spiffeId, notAfterMs);
    return chain;
  } catch (error) {
    if (error instanceof SigningRefused) throw new Refusal(status.INVALID_ARGUMENT, error.message);
    throw error;
  }
}
