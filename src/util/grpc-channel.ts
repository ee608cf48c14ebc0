// gRPC as a caller in the data plane needs it, so that whoever calls the control plane does not know who carries the calls.

/** One method of a service. */
export interface GrpcMethod<Request, Response> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly requestSerialize: (message: Request) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** How a call ended that did not end well. */
export interface GrpcFailure {
  /** A status of gRPC (util/grpc-codes.ts); UNAVAILABLE where nobody answered. */
  readonly code: number;
  readonly details: string;
}

/** Events of a call; after `onEnd` none comes. */
export interface GrpcEvents<Response> {
  onMessage(message: Response): void;
  /** There is room again, after `write` has returned false. */
  onDrain?(): void;
  /** The call is over; without a failure its status is OK. */
  onEnd(failure: GrpcFailure | undefined): void;
}

export interface GrpcCall<Request> {
  /** Sends a message; false asks to wait for `onDrain`. */
  write(message: Request): boolean;
  /** Nothing more is sent; answers still come. */
  end(): void;
  /** Gives up: no more events come. */
  cancel(): void;
}

export interface GrpcOptions {
  /** Headers besides gRPC's own: name, value, name, value. Names are lower-case. */
  readonly headers?: readonly string[];
  /** After so many milliseconds the call ends with DEADLINE_EXCEEDED; none: it takes what it takes. */
  readonly timeoutMs?: number;
}

/** Calls to one server over connections that are opened when they are needed. */
export interface GrpcChannel {
  call<Request, Response>(
    method: GrpcMethod<Request, Response>,
    events: GrpcEvents<Response>,
    options?: GrpcOptions,
  ): GrpcCall<Request>;
  /** Ends connections once their calls are over, and takes no new ones. */
  close(): void;
}

/** A call of one message and one answer. */
export function callOnce<Request, Response>(
  channel: GrpcChannel,
  method: GrpcMethod<Request, Response>,
  request: Request,
  options?: GrpcOptions,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    let answer: Response | undefined;
    const call = channel.call(
      method,
      {
        onMessage: (message) => (answer = message),
        onEnd: (failure) => {
          if (failure !== undefined) reject(new Error(failure.details));
          else if (answer === undefined) reject(new Error('the answer is empty'));
          else resolve(answer);
        },
      },
      options,
    );
    call.write(request);
    call.end();
  });
}
