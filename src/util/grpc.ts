// Bridges two libraries: a service described by protobuf-es becomes a service that grpc-js can serve or call.
import { status, type MethodDefinition, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import {
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescService,
  type MessageShape,
} from '@bufbuild/protobuf';

/** What grpc-js needs to know of every method of `service`. */
export function grpcService(service: DescService): ServiceDefinition {
  return Object.fromEntries(service.methods.map((method) => [method.localName, grpcMethod(method)]));
}

/** What grpc-js needs to know of one method. */
export function grpcMethod<I extends DescMessage, O extends DescMessage>(
  method: DescMethod & { readonly input: I; readonly output: O },
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: (message) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** Refuses a streaming call whose credentials prove nothing. */
export function refuseUnauthenticated(call: Pick<ServerDuplexStream<unknown, unknown>, 'emit'>, details: string): void {
  // grpc-js sends the status of an error that is emitted; `destroy` would leave the caller waiting.
  call.emit('error', { code: status.UNAUTHENTICATED, details });
}
