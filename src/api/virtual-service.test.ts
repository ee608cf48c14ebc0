// VirtualService: what is taken, and what each refusal says.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { objectOf, refusalsOf } from '../../test/harness/objects.js';
import { fieldsOf } from '../../test/harness/schema-walk.js';
import { virtualServiceSpec } from './virtual-service.js';

const taken = (spec: string) => objectOf('VirtualService', spec).spec;
const refusals = (spec: string) => refusalsOf('VirtualService', spec);
/** A spec whose only rule has these lines beside its route. */
const withRule = (...lines: string[]) =>
  ['hosts: [reviews]', 'http:', '- route: [{destination: {host: reviews}}]', ...lines.map((line) => `  ${line}`)].join(
    '\n',
  );
const refusedRule = (...lines: string[]) => refusals(withRule(...lines)).map((text) => text.replaceAll('http[0].', ''));

const everything = `
hosts: [reviews, reviews.shop.svc.cluster.local, '*.example.com', '*', REVIEWS, my_host]
gateways: [mesh]
exportTo: ['*', '.', '~', shop]
http:
- name: first
  match:
  - name: one
    uri: {exact: /a}
    scheme: {exact: http}
    method: {regex: 'GET|HEAD'}
    authority: {prefix: reviews}
    headers: {x-user: {exact: jason}, cookie: {regex: '*'}, end-user: {}}
    withoutHeaders: {x-bot: {prefix: b}}
    queryParams: {q: {exact: x}, present: {}}
    ignoreUriCase: true
    port: 9080
    sourceLabels: {app: web}
    sourceNamespace: shop
    gateways: [mesh, edge]
  - uri: {regex: '/b/\\d+'}
  rewrite: {uriRegexRewrite: {match: '^/(\\w+)/(.*)$', rewrite: '/\\2/\\1'}}
  timeout: 1.5s
  retries: {attempts: 3, perTryTimeout: 2s, retryOn: '5xx, 503', retryRemoteLocalities: true, retryIgnorePreviousHosts: false, backoff: 10ms}
  mirror: {host: reviews, subset: v3}
  mirrorPercentage: {value: 0.5}
  headers:
    request: {set: {x-a: b, ':authority': h}, add: {x-from: '%DOWNSTREAM_REMOTE_ADDRESS%'}, remove: [x-c]}
    response: {set: {x-d: '100%%'}, add: {x-e: f}, remove: [server]}
  route:
  - destination: {host: reviews, subset: v1, port: {number: 9080}}
    weight: 90
    headers: {request: {set: {x-version: v1}}}
  - destination: {host: reviews}
    weight: 10
- match: [{uri: {prefix: /old}}]
  redirect: {uri: /new, authority: shop.example.com, scheme: https, port: 8443, redirectCode: 308}
- match: [{uri: {prefix: /x}}]
  rewrite: {uri: /, authority: other}
  retries: {attempts: 0, backoff: 1s}
  mirrorPercent: 5
  mirrors:
  - {destination: {host: reviews}, percentage: {value: 100}}
  route: [{destination: {host: reviews}, weight: 0}]
- redirect: {derivePort: FROM_REQUEST_PORT}
- directResponse: {status: 503, body: {string: closed}}
- directResponse: {status: 200, body: {bytes: AAECAw==}}
- route: [{destination: {host: reviews}}]
  fault:
    delay: {fixedDelay: 5s, percentage: {value: 0.1}, percent: 1}
    abort: {httpStatus: 500, percentage: {value: 10}}
  corsPolicy:
    allowOrigins: [{exact: 'https://a.example'}, {prefix: 'https://b.'}, {regex: '.*[.]c[.]example'}]
    allowMethods: [GET, '*']
    allowHeaders: [x-a]
    exposeHeaders: [x-b]
    maxAge: 24h
    allowCredentials: true
    unmatchedPreflights: IGNORE
- route: [{destination: {host: reviews}}]
  fault: {abort: {grpcStatus: UNAVAILABLE}}
  corsPolicy: {allowOrigin: ['https://a.example', '*']}
- redirect: {uri: /last}
  mirror_percent: 5
tcp:
- match: [{port: 5432, sourceLabels: {app: web}, sourceNamespace: shop, gateways: [mesh]}]
  route: [{destination: {host: reviews}, weight: 1}, {destination: {host: reviews, subset: v2}, weight: 0}]
- route: [{destination: {host: reviews}}]
`;

describe('a VirtualService', () => {
  it('may have every field that is supported', () => {
    const spec = taken(everything);
    assert.equal(spec.http?.length, 9);
    assert.equal(spec.http[0]?.match?.[0]?.ignoreUriCase, true);
  });

  it('has every supported field in the example of this test', () => {
    const missing = fieldsOf(virtualServiceSpec)
      .filter(({ refused }) => refused === undefined)
      .map(({ path }) => /\w+(?=\W*$)/.exec(path)![0])
      .filter((name) => !new RegExp(`\\b${name}\\b`).test(everything));
    assert.deepEqual(missing, []);
  });

  it('describes every field for the reference', () => {
    const silent = fieldsOf(virtualServiceSpec).filter(({ description }) => description === undefined);
    assert.deepEqual(silent, []);
  });
});

describe('what a VirtualService cannot have yet', () => {
  const places: [string, (name: string) => string, number][] = [
    ['', (name) => `hosts: [a]\nhttp: [{route: [{destination: {host: a}}]}]\n${name}: []`, 3],
    ['http[].', (name) => withRule(`${name}: {}`), 4],
    ['http[].fault.delay.', (name) => withRule('fault:', '  delay:', '    fixedDelay: 1s', `    ${name}: x`), 7],
    ['http[].fault.abort.', (name) => withRule('fault:', '  abort:', '    httpStatus: 500', `    ${name}: x`), 7],
    ['http[].match[].', (name) => withRule(`match: [{uri: {exact: /},`, `  ${name}: x}]`), 5],
  ];
  for (const { path, refused } of fieldsOf(virtualServiceSpec)) {
    if (refused !== 'not yet') continue;
    const [prefix, specOf, line] = places.findLast(([start]) => path.startsWith(start))!;
    const name = path.slice(prefix.length);
    it(`is ${path}, which says so with its line`, () => {
      assert.deepEqual(refusals(specOf(name)), [
        `LAT0002 ${line} ${path.replaceAll('[]', '[0]')}: is not supported yet`,
      ]);
    });
  }

  it('is a gateway other than mesh', () => {
    assert.deepEqual(refusals(`${withRule()}\ngateways:\n- mesh\n- shop/edge`), [
      'LAT0002 6 gateways[1]: is not supported yet: there is only the gateway `mesh`',
    ]);
  });
});

describe('hosts', () => {
  it('are needed', () => {
    assert.deepEqual(refusals('http: [{route: [{destination: {host: a}}]}]'), [
      'IST0106 0 hosts: is missing; it must be an array',
    ]);
    assert.deepEqual(refusals('hosts: []\nhttp: [{route: [{destination: {host: a}}]}]'), [
      'IST0106 1 hosts: must name a host',
    ]);
  });

  it('are names, `*`, or `*.` and a name', () => {
    for (const host of ['', 'a b', 'http://a', 'a:80', 'a*', '*a', '*.', 'a.', '-a', 'a/b', 'é'])
      assert.deepEqual(
        refusals(`hosts:\n- ok\n- ${JSON.stringify(host)}\nhttp: [{route: [{destination: {host: a}}]}]`),
        ['IST0106 3 hosts[1]: must be a host name, `*`, or `*.` followed by a host name'],
        host,
      );
    assert.match(
      refusals(`hosts: [${'a'.repeat(256)}]\nhttp: [{route: [{destination: {host: a}}]}]`)[0]!,
      /at most 255 characters/,
    );
  });

  it('stand there once', () => {
    assert.deepEqual(refusals('hosts: [a, b, a]\nhttp: [{route: [{destination: {host: a}}]}]'), [
      'IST0106 1 hosts[2]: names a twice',
    ]);
  });
});

describe('a rule', () => {
  it('needs a route or a redirect, and has one of them', () => {
    assert.deepEqual(refusals('hosts: [a]\nhttp:\n- name: x'), [
      'IST0106 3 http[0]: needs a route, a redirect or a directResponse',
    ]);
    assert.deepEqual(refusals('hosts: [a]'), ['IST0106 0 : needs http or tcp']);
    assert.deepEqual(refusedRule('redirect: {uri: /}'), [
      'IST0106 3 http[0]: has route and redirect; only one is allowed',
    ]);
    assert.deepEqual(refusals('hosts: [a]\nhttp:\n- route: []'), ['IST0106 3 http[0].route: must name a destination']);
  });

  it('has no rewrite beside a redirect', () => {
    assert.deepEqual(refusals('hosts: [a]\nhttp:\n- redirect: {uri: /}\n  rewrite: {uri: /}'), [
      'IST0106 4 http[0].rewrite: cannot stand beside redirect',
    ]);
  });

  it('has timeouts of at least a millisecond', () => {
    for (const timeout of ['5', '-1s', '1d', '1 s', '0.5ms', '999us', "''"])
      assert.deepEqual(
        refusedRule(`timeout: "${timeout}"`),
        ['IST0106 4 timeout: must be a duration of at least 1ms, such as 500ms, 5s or 1h'],
        timeout,
      );
    assert.deepEqual(refusedRule('timeout: 5'), ['IST0106 4 timeout: must be a string, not a number; quote it']);
    for (const timeout of ['0s', '1ms', '1h30m', '1.5s', '0']) assert.ok(taken(withRule(`timeout: "${timeout}"`)));
  });
});

describe('weights', () => {
  const withWeights = (...weights: (number | string)[]) =>
    `hosts: [a]\nhttp:\n- route:\n${weights.map((weight) => `  - {destination: {host: a}, weight: ${weight}}`).join('\n')}`;

  it('are relative and may add up to anything but zero', () => {
    for (const weights of [[1, 1], [90, 10], [1000, 1], [0, 1], [0], [4_294_967_295]])
      assert.ok(taken(withWeights(...weights)));
    assert.deepEqual(refusals(withWeights(0, 0)), [
      'IST0106 3 http[0].route: has weights that add up to 0; give at least one destination a weight',
    ]);
  });

  it('are whole numbers that are not negative', () => {
    assert.deepEqual(refusals(withWeights(1, -1)), ['IST0106 5 http[0].route[1].weight: must not be negative']);
    for (const weight of [1.5, '"5"', 'ten'])
      assert.deepEqual(refusals(withWeights(weight, 1)), ['IST0106 4 http[0].route[0].weight: must be a whole number']);
  });

  it('add up to no more than proxies take', () => {
    assert.deepEqual(refusals(withWeights(4_294_967_295, 1)), [
      'IST0106 3 http[0].route: has weights that add up to more than 4294967295; make them smaller',
    ]);
  });
});

describe('a rule for bytes', () => {
  const tcp = (text: string) => refusals(`hosts: [a]\ntcp:\n- ${text}`);
  it('needs destinations, of which one has a weight', () => {
    assert.deepEqual(tcp('match: [{port: 1}]'), ['IST0106 3 tcp[0].route: is missing; it must be an array']);
    assert.deepEqual(tcp('route: []'), ['IST0106 3 tcp[0].route: must name a destination']);
    assert.deepEqual(tcp('route: [{destination: {host: a}, weight: 0}, {destination: {host: b}}]'), [
      'IST0106 3 tcp[0].route: has weights that add up to 0; give at least one destination a weight',
    ]);
  });
  it('cannot ask for addresses, which connections here do not have', () => {
    for (const field of ['destinationSubnets', 'sourceSubnet'])
      assert.deepEqual(tcp(`{match: [{${field}: x}], route: [{destination: {host: a}}]}`), [
        `LAT0002 3 tcp[0].match[0].${field}: is not supported yet; without redirection connections have no destination address of their own`,
      ]);
  });
});

describe('a match', () => {
  it('has one of exact, prefix and regex', () => {
    assert.deepEqual(refusedRule('match: [{uri: {exact: /a,', '  prefix: /b}}]'), [
      'IST0106 4 match[0].uri: has exact and prefix; only one of exact, prefix and regex is allowed',
    ]);
    assert.deepEqual(refusedRule('match: [{uri: {suffix: /a}}]'), [
      'IST0106 4 match[0].uri.suffix: is not a known field',
    ]);
    assert.deepEqual(refusedRule('match: [{uri: /a}]'), ['IST0106 4 match[0].uri: must be an object, not a string']);
  });

  it("has regular expressions in RE2's syntax", () => {
    for (const regex of ['(', '(?=a)', '\\1', 'a{2000}', '[z-a]'])
      assert.match(
        refusedRule(`match: [{uri: {regex: '${regex}'}}]`)[0]!,
        /^IST0106 4 match\[0\]\.uri\.regex: is not a regular expression in RE2 syntax: /,
        regex,
      );
    assert.match(refusedRule(`match: [{uri: {regex: '${'a'.repeat(1025)}'}}]`)[0]!, /must be at most 1024 characters/);
    assert.ok(taken(withRule("match: [{headers: {a: {regex: '*'}}, uri: {regex: '(?i)/[[:alpha:]]+(?P<n>x)?'}}]")));
  });

  it('has header names that are tokens', () => {
    for (const name of ['', 'a b', 'a:', ':path', 'é'])
      assert.deepEqual(
        refusedRule(`match: [{headers: {${JSON.stringify(name)}: {exact: x}}}]`).map((text) =>
          text.replace(/^.*: (?=must)/, ''),
        ),
        ['must be an HTTP header name'],
        name,
      );
  });

  it('has ports from 1 to 65535', () => {
    for (const port of [0, 65_536, -1])
      assert.deepEqual(refusedRule(`match: [{port: ${port}}]`), [
        'IST0106 4 match[0].port: must be a port from 1 to 65535',
      ]);
  });
});

describe('a rewrite', () => {
  it('rewrites something, and the path in one way', () => {
    assert.deepEqual(refusedRule('rewrite: {}'), ['IST0106 4 rewrite: needs uri, authority or uriRegexRewrite']);
    assert.deepEqual(refusedRule('rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}'), [
      'IST0106 4 rewrite: has uri and uriRegexRewrite; only one is allowed',
    ]);
  });

  it('names only groups that its expression has', () => {
    assert.deepEqual(refusedRule("rewrite: {uriRegexRewrite: {match: '(a)', rewrite: '\\2'}}"), [
      'IST0106 4 rewrite.uriRegexRewrite.rewrite: names group \\2, which match does not have',
    ]);
  });

  it('with a broken expression is refused for that alone', () => {
    const found = refusedRule("rewrite: {uriRegexRewrite: {match: '(', rewrite: '\\1'}}");
    assert.equal(found.length, 1);
    assert.match(found[0]!, /rewrite\.uriRegexRewrite\.match: is not a regular expression/);
  });
});

describe('a fixed answer', () => {
  const direct = (text: string) =>
    refusals(`hosts: [a]\nhttp:\n- directResponse: ${text}`).map((said) => said.replace('http[0].directResponse', ''));
  it('has a status that an answer can have', () => {
    assert.deepEqual(direct('{}'), ['IST0106 3 .status: must be a whole number']);
    assert.deepEqual(direct('{status: 101}'), ['IST0106 3 .status: must be at least 200']);
    assert.deepEqual(direct('{status: 600}'), ['IST0106 3 .status: must be at most 599']);
  });

  it('has a body in one form, of at most 1 MiB', () => {
    assert.deepEqual(direct('{status: 200, body: {}}'), ['IST0106 3 .body: needs exactly one of string and bytes']);
    assert.deepEqual(direct('{status: 200, body: {string: a, bytes: YQ==}}'), [
      'IST0106 3 .body: needs exactly one of string and bytes',
    ]);
    assert.deepEqual(direct('{status: 200, body: {bytes: "a b"}}'), ['IST0106 3 .body.bytes: must be base64']);
    assert.deepEqual(direct(`{status: 200, body: {string: ${'a'.repeat(1024 * 1024 + 1)}}}`), [
      'IST0106 3 .body.string: must be at most 1 MiB',
    ]);
  });

  it('stands alone', () => {
    assert.deepEqual(refusedRule('directResponse: {status: 200}'), [
      'IST0106 3 http[0]: has route and directResponse; only one is allowed',
    ]);
  });
});

describe('faults', () => {
  it('say what happens', () => {
    assert.deepEqual(refusedRule('fault: {}'), ['IST0106 4 fault: needs delay or abort']);
    assert.deepEqual(refusedRule('fault: {abort: {}}'), ['IST0106 4 fault.abort: needs httpStatus or grpcStatus']);
    assert.deepEqual(refusedRule('fault: {abort: {httpStatus: 500, grpcStatus: OK}}'), [
      'IST0106 4 fault.abort: has httpStatus and grpcStatus; only one is allowed',
    ]);
    assert.deepEqual(refusedRule('fault: {abort: {httpStatus: 100}}'), [
      'IST0106 4 fault.abort.httpStatus: must be at least 200',
    ]);
    assert.match(
      refusedRule('fault: {abort: {grpcStatus: BROKEN}}')[0]!,
      /fault\.abort\.grpcStatus: must be one of OK, CANCELLED, /,
    );
    assert.deepEqual(refusedRule('fault: {delay: {percent: 10}}'), [
      'IST0106 4 fault.delay.fixedDelay: is missing; it must be a string',
    ]);
  });
});

describe('cross-origin rules', () => {
  it('name origins that can be matched, in one form', () => {
    assert.match(
      refusedRule('corsPolicy: {allowOrigins: [{}]}')[0]!,
      /^IST0106 4 corsPolicy\.allowOrigins\[0\]: needs exact, prefix or regex; /,
    );
    assert.match(
      refusedRule("corsPolicy: {allowOrigins: [{regex: '*'}]}")[0]!,
      /allowOrigins\[0\]\.regex: is not a regular expression; /,
    );
    assert.deepEqual(refusedRule("corsPolicy: {allowOrigins: [{exact: a}], allowOrigin: ['*']}"), [
      'IST0106 4 corsPolicy.allowOrigin: stands beside allowOrigins; only one is allowed',
    ]);
  });

  it('cannot carry anything else into headers', () => {
    for (const field of ['allowMethods', 'allowHeaders', 'exposeHeaders'])
      assert.deepEqual(refusedRule(`corsPolicy: {${field}: ["a, b"]}`), [
        `IST0106 4 corsPolicy.${field}[0]: must be an HTTP header name`,
      ]);
    assert.deepEqual(refusedRule('corsPolicy: {maxAge: 1500ms}'), [
      'IST0106 4 corsPolicy.maxAge: must be whole seconds',
    ]);
  });
});

describe('retries', () => {
  it('name conditions and statuses that exist', () => {
    for (const retryOn of ['5xx', ' gateway-error , 503,', '404,429', 'cancelled,unavailable', 'reset-before-request'])
      assert.ok(taken(withRule(`retries: {attempts: 1, retryOn: '${retryOn}'}`)), retryOn);
    for (const part of ['5XX', 'timeout', '600', '99', '1000', '50x'])
      assert.match(
        refusedRule(`retries: {attempts: 1, retryOn: 'reset,${part}'}`)[0]!,
        new RegExp(`^IST0106 4 retries\\.retryOn: names "${part}", which is neither a status nor one of 5xx, `),
        part,
      );
  });

  it('need attempts where they say anything else, as in Istio', () => {
    for (const retries of ['{retryOn: 5xx}', '{attempts: 0, perTryTimeout: 1s}'])
      assert.match(
        refusedRule(`retries: ${retries}`)[0]!,
        /^IST0106 4 retries: has \w+ but no attempts, which turns retries off; /,
      );
    for (const retries of ['{}', '{attempts: 0}', '{attempts: 1000}'])
      assert.ok(taken(withRule(`retries: ${retries}`)));
  });

  it('have attempts from 0 to 1000 and times of at least a millisecond', () => {
    assert.deepEqual(refusedRule('retries: {attempts: -1}'), ['IST0106 4 retries.attempts: must not be negative']);
    assert.deepEqual(refusedRule('retries: {attempts: 1001}'), ['IST0106 4 retries.attempts: must be at most 1000']);
    for (const field of ['perTryTimeout', 'backoff'])
      assert.deepEqual(refusedRule(`retries: {attempts: 1, ${field}: 0s}`), [
        `IST0106 4 retries.${field}: must be a duration of at least 1ms, such as 500ms, 5s or 1h`,
      ]);
  });
});

describe('copies', () => {
  it('are asked for in one form', () => {
    assert.deepEqual(refusedRule('mirror: {host: a}', 'mirrors: [{destination: {host: b}}]'), [
      'IST0106 5 http[0].mirrors: stands beside mirror; only one is allowed'.replace('http[0].', ''),
    ]);
    assert.deepEqual(refusedRule('mirror: {host: a}', 'mirrorPercent: 1', 'mirror_percent: 1'), [
      'IST0106 6 mirror_percent: is another spelling of mirrorPercent, which is given too; remove one',
    ]);
  });

  it('have shares from 0 to 100', () => {
    assert.deepEqual(refusedRule('mirror: {host: a}', 'mirrorPercentage: {value: 100.1}'), [
      'IST0106 5 mirrorPercentage.value: must be at most 100',
    ]);
    assert.deepEqual(refusedRule('mirror: {host: a}', 'mirrorPercent: -1'), [
      'IST0106 5 mirrorPercent: must not be negative',
    ]);
    assert.deepEqual(refusedRule('mirror: {host: a}', 'mirrorPercent: 1.5'), [
      'IST0106 5 mirrorPercent: must be a whole number',
    ]);
  });
});

describe('a redirect', () => {
  const redirect = (text: string) => refusals(`hosts: [a]\nhttp:\n- redirect: ${text}`);
  it('leads somewhere, with a status that redirects', () => {
    assert.deepEqual(redirect('{}'), ['IST0106 3 http[0].redirect: needs uri, authority, scheme, port or derivePort']);
    assert.deepEqual(redirect('{redirectCode: 301}'), [
      'IST0106 3 http[0].redirect: needs uri, authority, scheme, port or derivePort',
    ]);
    assert.deepEqual(redirect('{uri: /, redirectCode: 300}'), [
      'IST0106 3 http[0].redirect.redirectCode: must be 301, 302, 303, 307 or 308',
    ]);
    assert.deepEqual(redirect('{uri: /, scheme: ftp}'), [
      'IST0106 3 http[0].redirect.scheme: must be one of http, https',
    ]);
  });

  it('gets its port from one place', () => {
    assert.deepEqual(redirect('{port: 80, derivePort: FROM_REQUEST_PORT}'), [
      'IST0106 3 http[0].redirect: has port and derivePort; only one is allowed',
    ]);
  });
});

describe('headers', () => {
  it('cannot carry line breaks into a message', () => {
    for (const value of ['a\nb', 'a\r', 'a\u0000', '\u007f'])
      assert.deepEqual(refusedRule(`headers: {request: {set: {x: ${JSON.stringify(value)}}}}`), [
        'IST0106 4 headers.request.set.x: must not contain line breaks or control characters',
      ]);
    assert.match(refusedRule('rewrite: {authority: "a\\nb"}')[0]!, /line breaks/);
  });

  it('name only operators that exist', () => {
    assert.match(
      refusedRule("headers: {request: {set: {x: '%NOPE%'}}}")[0]!,
      /uses %NOPE%, which is not supported yet; these are: /,
    );
    assert.match(
      refusedRule("headers: {request: {add: {x: '100%'}}}")[0]!,
      /has a % at position 3 that begins no operator; write %% for a percent sign/,
    );
    assert.match(refusedRule("headers: {response: {add: {x: '%REQ%'}}}")[0]!, /without a header name/);
    assert.match(
      refusedRule("headers: {response: {add: {x: '%PROTOCOL(x)%'}}}")[0]!,
      /an argument, which it does not take/,
    );
  });
});

describe('exportTo', () => {
  it('names namespaces, `*`, `.` or `~`', () => {
    assert.deepEqual(refusals(`${withRule()}\nexportTo: [Shop]`), [
      'IST0106 4 exportTo[0]: must be `*`, `.`, `~` or a namespace',
    ]);
  });
});
