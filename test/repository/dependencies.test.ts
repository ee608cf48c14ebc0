// What the project is made of installs on the oldest Node it promises, runs nothing while it installs, and has its reasons.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import semver from 'semver';
import { readLock, readManifest, readText } from './files.js';

/** The oldest Node that the project promises to run on. */
const oldestNode = '20.19.0';

/** Packages below a dependency that have an install script all the same; docs/dependencies.md says why that is bearable. */
const knownInstallScripts = ['protobufjs'];

const lock = readLock();
const installed = [...lock].filter(([path]) => path !== '');
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

describe('package-lock.json', () => {
  it(`takes only packages that run on Node ${oldestNode}`, () => {
    const refused = installed
      .filter(([, { engines }]) => engines?.node !== undefined && !semver.satisfies(oldestNode, engines.node))
      .map(([path, { version, engines }]) => `${path}@${version} wants Node ${engines!.node}`);
    assert.deepEqual(refused, []);
  });

  it('has an entry for every optional dependency, without which npm ci refuses to install', () => {
    const missing = [...lock].flatMap(([path, { optionalDependencies }]) =>
      Object.keys(optionalDependencies ?? {})
        .filter((name) => !isInstalledFor(path, name))
        .map((name) => `${path} wants ${name}`),
    );
    assert.deepEqual(missing, []);
  });

  it('names no host from which packages came', () => {
    assert.doesNotMatch(readText('package-lock.json'), /"resolved":/);
  });
});

describe('runtime dependencies', () => {
  const names = Object.keys(readManifest().dependencies);
  const documentation = readText('docs/dependencies.md');
  const rowOf = (name: string) => documentation.split('\n').find((line) => line.startsWith(`| ${name} |`));

  it('each have a full row in docs/dependencies.md', () => {
    const problems = names.flatMap((name) => {
      const cells = rowOf(name)?.split('|').slice(1, -1);
      if (cells === undefined) return [`${name} has no row`];
      return cells.length === 6 && cells.every((cell) => cell.trim() !== '') ? [] : [`the row of ${name} is not full`];
    });
    assert.deepEqual(problems, []);
  });

  it('stand in docs/dependencies.md in the version line that is installed', () => {
    const problems = names.filter((name) => {
      const line = rowOf(name)?.split('|')[2]?.trim() ?? '';
      return !semver.satisfies(lock.get(`node_modules/${name}`)!.version!, line);
    });
    assert.deepEqual(problems, []);
  });

  it('have a row there only while they are dependencies', () => {
    const rows = [...documentation.matchAll(/^\| ([@a-z][^ |]*) \| [\d^~]/gm)].map(([, name]) => name!);
    assert.deepEqual(
      rows.filter((name) => !names.includes(name)),
      [],
    );
  });

  it('run nothing while they install', () => {
    assert.deepEqual(
      names.filter((name) => lock.get(`node_modules/${name}`)!.hasInstallScript === true),
      [],
    );
  });

  it('bring no package that runs something while it installs, but for those that docs/dependencies.md excuses', () => {
    const scripts = installed
      .filter(([, { dev, hasInstallScript }]) => hasInstallScript === true && dev !== true)
      .map(([path]) => nameOf(path));
    assert.deepEqual(scripts, knownInstallScripts);
    for (const name of scripts) assert.match(documentation, new RegExp(`\`${name}\` has an install script`));
  });

  it('are pinned to one version', () => {
    const loose = Object.entries(readManifest().dependencies).filter(([, version]) => semver.valid(version) === null);
    assert.deepEqual(loose, []);
  });
});

/** Whether `name` is found from the package at `path`, the way Node looks for it. */
function isInstalledFor(path: string, name: string): boolean {
  const inner = `${path === '' ? '' : `${path}/`}node_modules/${name}`;
  if (lock.has(inner) || path === '') return lock.has(inner);
  const outer = path.lastIndexOf('/node_modules/');
  return isInstalledFor(outer < 0 ? '' : path.slice(0, outer), name);
}
