// The path of a request, to be read aloud: every layer that it passes, outermost first, each with the reason for its place.
import type { Exchange } from './exchange.js';
import { answerDirectly } from './layers/answer-directly.js';
import { cors } from './layers/cors.js';
import { authorize } from './layers/authorize.js';
import { forward } from './layers/forward.js';
import { mirror } from './layers/mirror.js';
import { injectFault } from './layers/inject-fault.js';
import { nameCaller } from './layers/name-caller.js';
import { normalizePath } from './layers/normalize-path.js';
import { overrideAuthority } from './layers/override-authority.js';
import { pickRoute } from './layers/pick-route.js';
import { record } from './layers/record.js';
import { redirect } from './layers/redirect.js';
import { requestId } from './layers/request-id.js';
import { changeHeaders } from './layers/change-headers.js';
import { retry } from './layers/retry.js';
import { shedLoad } from './layers/shed-load.js';
import { rewrite } from './layers/rewrite.js';
import { timeOut } from './layers/time-out.js';
import { trace } from './layers/trace.js';
import { memoryPressure } from '../net/memory-pressure.js';
import type { Failure } from './failures.js';
import type { HttpSettings } from './environment.js';
import type { Headers, ResponseHead } from './message.js';

/** One concern of a request's path; a layer has only the hooks that it needs. */
export interface Layer {
  /** The request comes in. False: the layer has answered it, and no further layer sees it. */
  onRequest?(exchange: Exchange): boolean;
  /** The request's body is complete. */
  onRequestEnd?(exchange: Exchange): void;
  /** An attempt ended without an answer. True: the layer tries again, and no further layer hears of it. */
  onFailure?(exchange: Exchange, failure: Failure): boolean;
  /** An answer begins. True: the layer drops it and tries again. */
  onAnswer?(exchange: Exchange, head: ResponseHead): boolean;
  /** The upstream's answer begins and is passed on; the innermost layer sees it first. */
  onResponse?(exchange: Exchange, head: ResponseHead): void;
  /** An answer is made here, by any layer or for a failure; `headers` are to be completed. */
  onReply?(exchange: Exchange, headers: Headers): void;
  /** Everything is over, however it ended; the innermost layer sees it first. */
  onComplete?(exchange: Exchange): void;
}

type With<K extends keyof Layer> = Required<Pick<Layer, K>>;

/** The layers by hook, each list in the order in which it is run. */
export interface Stack {
  readonly request: readonly With<'onRequest'>[];
  readonly requestEnd: readonly With<'onRequestEnd'>[];
  readonly failure: readonly With<'onFailure'>[];
  readonly answer: readonly With<'onAnswer'>[];
  readonly response: readonly With<'onResponse'>[];
  readonly reply: readonly With<'onReply'>[];
  readonly complete: readonly With<'onComplete'>[];
}

/** Assembles the path for one listener; what is not configured is not in it. */
export function createStack(settings: HttpSettings): Stack {
  const layers: readonly (Layer | undefined)[] = [
    record, //                                                   sees every outcome, also what the layers below answer themselves
    shedLoad(memoryPressure), //                                   costs nothing to refuse: nothing has been done yet
    settings.authority === undefined ? undefined : overrideAuthority(settings.authority), // before anything looks at the host
    normalizePath(settings), //                                  one path, decided once, for policies, matching and forwarding alike
    nameCaller, //                                               nobody below reads a claim that no certificate proves
    requestId, //                                                the route may match it, the log has it either way
    settings.policies === undefined ? undefined : authorize, //  sees the path and the names that routes and the application see
    pickRoute,
    settings.injectsFaults ? injectFault : undefined, //         as if what is called were slow or broken: nothing is done for it yet
    settings.hasCors ? cors : undefined, //                      a preflight is not for the server
    redirect, //                                                 answers itself: nothing below is needed
    answerDirectly, //                                           the same
    rewrite, //                                                  after matching, which sees the request as it came
    changeHeaders,
    settings.tracing === undefined ? undefined : trace(settings.tracing), // no route takes away what the next span needs
    mirror, //                                                   a copy is what will be sent, once, however often it is tried
    timeOut, //                                                  runs while everything below works, all attempts together
    retry, //                                                    everything below happens again for every attempt
    forward, //                                                  balance, connect, send
  ];
  const present = layers.filter((layer): layer is Layer => layer !== undefined);
  const having = <K extends keyof Layer>(hook: K) =>
    present.filter((layer): layer is Layer & With<K> => layer[hook] !== undefined);
  return {
    request: having('onRequest'),
    requestEnd: having('onRequestEnd'),
    failure: having('onFailure'),
    answer: having('onAnswer'),
    response: having('onResponse').reverse(),
    reply: having('onReply').reverse(),
    complete: having('onComplete').reverse(),
  };
}
