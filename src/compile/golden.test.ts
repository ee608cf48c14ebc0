// What is compiled from whole meshes, kept as pairs in testdata: NAME.yaml goes in, NAME.json comes out. After a change that
// is meant, `node scripts/update-goldens.mjs` writes the outputs anew; the difference is what is to be reviewed.
//
// The first document of an input says whose configuration is shown, and which of it: names with `*` for anything, and fields
// that are hidden because another pair shows them. The second is mesh.yaml, the others are objects.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import type { JsonValue } from '@bufbuild/protobuf';
import { jsonOf, without } from '../../test/harness/resources.js';
import { snapshotOf, workloadOf } from '../../test/harness/snapshots.js';
import { resourceTypes, type ResourceType } from '../xds/resources.js';
import { compileWorkload } from './compile.js';
import { findProblems } from './findings.js';

interface Shown {
  readonly workload: string;
  readonly show: Partial<Record<ResourceType | 'omissions' | 'findings', string | string[]>>;
  readonly hide?: readonly string[];
}

const folder = new URL('../../../src/compile/testdata/', import.meta.url);
const isUpdate = process.env['UPDATE_GOLDENS'] === '1';
const inputs = readdirSync(folder).filter((file) => file.endsWith('.yaml'));

async function compileGolden(input: string): Promise<string> {
  const [head = '', mesh = '', ...objects] = input.split(/^---\n/m);
  const { workload, show, hide = [] } = parse(head) as Shown;
  const snapshot = await snapshotOf(mesh, objects.join('---\n'));
  const { resources, omissions } = compileWorkload(snapshot, workloadOf(snapshot, workload));
  const output: Record<string, JsonValue> = {};
  for (const type of resourceTypes) {
    const patterns = [show[type] ?? []].flat().map(toExpression);
    const names = [...resources[type].keys()].filter((name) => patterns.some((pattern) => pattern.test(name)));
    if (patterns.length > 0) output[type] = names.map((name) => without(jsonOf(resources, type, name)!, new Set(hide)));
  }
  if (show.omissions !== undefined) output['omissions'] = omissions.map((omission) => ({ ...omission }));
  if (show.findings !== undefined)
    output['findings'] = findProblems(snapshot).map(
      ({ code, object, path, message }) => `${code} ${object} ${path}: ${message}`,
    );
  return `${format(output)}\n`;
}

/** JSON with everything on one line that fits on one. */
function format(value: JsonValue, indent = ''): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const line = formatLine(value);
  if (line.length + indent.length <= 120) return line;
  const inner = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((item) => format(item, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${format(item, inner)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${indent}${close}`;
}

function formatLine(value: JsonValue): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${value.map(formatLine).join(', ')} ]`;
  const parts = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${formatLine(item)}`);
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
}

function toExpression(pattern: string): RegExp {
  return new RegExp(`^${pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\*', '.*')}$`);
}

describe('what is compiled', () => {
  for (const file of inputs)
    it(`from testdata/${file} is as it was`, async () => {
      const output = await compileGolden(readFileSync(new URL(file, folder), 'utf8'));
      const kept = new URL(file.replace(/\.yaml$/, '.json'), folder);
      if (isUpdate) writeFileSync(kept, output);
      assert.ok(existsSync(kept), `there is no output for ${file} yet; write it by node scripts/update-goldens.mjs`);
      assert.deepEqual(JSON.parse(output), JSON.parse(readFileSync(kept, 'utf8')));
    });

  it('is all shown by some pair', () => {
    const shown = new Set(
      inputs.flatMap((file) =>
        Object.keys((parse(readFileSync(new URL(file, folder), 'utf8').split(/^---\n/m)[0]!) as Shown).show),
      ),
    );
    assert.deepEqual(
      [...resourceTypes, 'omissions', 'findings'].filter((part) => !shown.has(part)),
      [],
    );
  });

  it('has no output without an input', () => {
    const outputs = readdirSync(folder).filter((file) => file.endsWith('.json'));
    assert.deepEqual(
      outputs.filter((file) => !inputs.includes(file.replace(/\.json$/, '.yaml'))),
      [],
    );
  });
});
