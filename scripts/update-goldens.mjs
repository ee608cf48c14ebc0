// Writes the outputs of src/compile/testdata anew, after a change of what is compiled that is meant. Review the difference.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const run = (...args) =>
  spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env: { ...process.env, UPDATE_GOLDENS: '1' } })
    .status;

process.exit(run('scripts/build.mjs') || run('scripts/run-suite.mjs', 'unit', 'golden'));
