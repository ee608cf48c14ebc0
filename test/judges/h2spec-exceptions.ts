// The cases of h2spec that we do not pass, each with the reason. A case that fails and is not named here is a failure of the
// suite, and so is one that is named and passes.

/** On every port. */
export const h2specExceptions: ReadonlyMap<string, string> = new Map([]);

/** On ports that also take HTTP/1.1. */
export const h2specExceptionsBesideHttp1: ReadonlyMap<string, string> = new Map([
  [
    'http2/3.5 #2',
    'what does not begin with the preface is read as HTTP/1.1, and answered with 400 in that before the connection is closed',
  ],
]);
