// Which VirtualService owns a host, and which of its matches are for whom.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { objectOf } from '../../test/harness/objects.js';
import type { VirtualService } from '../api/kinds.js';
import { createSnapshot } from '../model/snapshot.js';
import { claimingVirtualServices, hostsOf, whyMatchIsNotFor } from './virtual-services.js';
import { meshFileOf } from '../../test/harness/objects.js';

const { meshConfig } = meshFileOf('services: {a: {command: x}}');

/** `name@namespace hosts exportTo` */
function virtualService(name: string, namespace: string, hosts: string, exportTo = ''): VirtualService {
  const spec = `hosts: [${hosts}]\n${exportTo === '' ? '' : `exportTo: [${exportTo}]\n`}http: [{redirect: {uri: /}}]`;
  return objectOf('VirtualService', spec, { name, namespace });
}

function ownerOf(host: string, namespace: string, ...objects: VirtualService[]): string | undefined {
  const snapshot = createSnapshot({ meshConfig, services: [], workloads: [], objects });
  return claimingVirtualServices(snapshot, host, namespace)[0]?.name;
}

const reviews = 'reviews.shop.svc.cluster.local';

describe('a short host', () => {
  it('belongs to the namespace of the rule, not of the caller', () => {
    assert.equal(ownerOf(reviews, 'shop', virtualService('mine', 'shop', 'reviews')), 'mine');
    assert.equal(ownerOf(reviews, 'shop', virtualService('other', 'default', 'reviews')), undefined);
    assert.equal(
      ownerOf('reviews.default.svc.cluster.local', 'shop', virtualService('other', 'default', 'reviews')),
      'other',
    );
  });

  it('is compared without regard to case', () => {
    assert.deepEqual(hostsOf(virtualService('a', 'shop', 'Reviews, Example.COM')), [reviews, 'example.com']);
  });

  it('with a dot is taken as it is', () => {
    assert.equal(ownerOf(reviews, 'shop', virtualService('half', 'shop', 'reviews.shop')), undefined);
  });
});

describe('the owner of a host', () => {
  it('is the oldest of those that name it', () => {
    assert.equal(
      ownerOf(reviews, 'shop', virtualService('old', 'shop', 'reviews'), virtualService('new', 'default', reviews)),
      'old',
    );
  });

  it('is the one that names it, before older ones that cover it', () => {
    assert.equal(
      ownerOf(
        reviews,
        'shop',
        virtualService('all', 'shop', "'*'"),
        virtualService('suffix', 'shop', "'*.local'"),
        virtualService('name', 'shop', 'reviews'),
      ),
      'name',
    );
    assert.equal(
      ownerOf(
        reviews,
        'shop',
        virtualService('all', 'shop', "'*'"),
        virtualService('suffix', 'shop', "'*.local'"),
        virtualService('longer', 'shop', "'*.cluster.local'"),
      ),
      'longer',
    );
  });

  it('is nobody where no host covers it', () => {
    assert.equal(ownerOf('example.com', 'shop', virtualService('sub', 'shop', "'*.example.com'")), undefined);
  });

  for (const [exportTo, seen] of [
    ['', ['shop', 'default']],
    ["'*'", ['shop', 'default']],
    ["'.'", ['shop']],
    ['default', ['default']],
    ["'.', default", ['shop', 'default']],
    ["'~'", []],
    ["'~', '*'", ['shop', 'default']],
  ] as const)
    it(`with exportTo [${exportTo}] is seen from ${seen.join(' and ') || 'nowhere'}`, () => {
      const owner = virtualService('a', 'shop', 'reviews', exportTo);
      assert.deepEqual(
        ['shop', 'default'].filter((namespace) => ownerOf(reviews, namespace, owner) !== undefined),
        seen,
      );
    });

  it('is a younger one where the oldest is not seen', () => {
    assert.equal(
      ownerOf(
        reviews,
        'default',
        virtualService('old', 'shop', 'reviews', "'.'"),
        virtualService('new', 'shop', 'reviews'),
      ),
      'new',
    );
  });
});

describe('a match', () => {
  const client = { namespace: 'shop', labels: { app: 'web', version: 'v1' } };
  const why = (match: Parameters<typeof whyMatchIsNotFor>[0], port = 80) => whyMatchIsNotFor(match, client, port);

  it('without conditions is for everybody', () => {
    assert.equal(why({}), undefined);
    assert.equal(why({ sourceNamespace: '', sourceLabels: {}, gateways: [] }), undefined);
  });

  it('may be for a port', () => {
    assert.equal(why({ port: 80 }), undefined);
    assert.equal(why({ port: 81 }), 'it is for port 81');
  });

  it('may be for callers of a namespace', () => {
    assert.equal(why({ sourceNamespace: 'shop' }), undefined);
    assert.equal(why({ sourceNamespace: 'default' }), 'it is for callers in namespace default');
  });

  it('may be for callers with all of some labels', () => {
    assert.equal(why({ sourceLabels: { app: 'web', version: 'v1' } }), undefined);
    assert.equal(
      why({ sourceLabels: { app: 'web', version: 'v2' } }),
      'it is for callers with other labels (app=web, version=v2)',
    );
    assert.equal(why({ sourceLabels: { team: 'a' } }), 'it is for callers with other labels (team=a)');
  });

  it('may be for gateways only', () => {
    assert.equal(why({ gateways: ['edge', 'other'] }), 'it is for the gateways edge, other');
    assert.equal(why({ gateways: ['edge', 'mesh'] }), undefined);
  });

  it('that names gateways is not asked about the caller, but about the port', () => {
    assert.equal(why({ gateways: ['mesh'], sourceNamespace: 'default', sourceLabels: { app: 'other' } }), undefined);
    assert.equal(why({ gateways: ['mesh'], port: 81 }), 'it is for port 81');
  });
});

describe('an object without rules for HTTP', () => {
  it('claims no host from those that have some', () => {
    const bytes = objectOf('VirtualService', 'hosts: [reviews]\ntcp: [{route: [{destination: {host: reviews}}]}]', {
      name: 'bytes',
      namespace: 'shop',
    });
    assert.equal(ownerOf(reviews, 'shop', bytes, virtualService('http', 'shop', 'reviews')), 'http');
    assert.equal(ownerOf(reviews, 'shop', bytes), undefined);
  });
});
