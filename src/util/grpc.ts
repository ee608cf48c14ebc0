// Bridges two libraries: a service described by protobuf-es becomes a service that grpc-js can serve or call.
import { status, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import type { DescService } from '@bufbuild/protobuf';
import { grpcMethod } from './grpc-method.js';

/** What grpc-js needs to know of every method of `service`. */
export function grpcService(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, grpcMethod(method)]));
}

/** Refuses a streaming call whose credentials prove nothing. */
export function refuseUnauthenticated(call: Pick<ServerDuplexStream<unknown, unknown>, 'emit'>, details: string): void {
  // grpc-js sends the status of an error that is emitted; `destroy` would leave the caller waiting.
  call.emit('error', { code: status.UNAUTHENTICATED, details });
}
