// Tools and libraries that nobody here wrote and that judge us: where they are, and what happens where one is missing.
import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { root } from '../harness/mesh.js';

/** Where `.ci/judge-tools` puts what it builds. */
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'lateen-ci/judges');
const pythonFolder = join(cache, 'python');
const builtHere = ['h2spec', 'grpc-client', 'grpc-server', 'toxiproxy'] as const;

export type Tool = (typeof builtHere)[number] | 'python3' | 'curl' | 'slowhttptest';

/** Path of a tool; undefined where it is not there. */
export function findTool(tool: Tool): string | undefined {
  const built = join(cache, 'bin', tool);
  if ((builtHere as readonly string[]).includes(tool)) return existsSync(built) ? built : undefined;
  if (tool === 'python3' && !existsSync(join(pythonFolder, 'requirements.txt'))) return undefined;
  try {
    return execFileSync('/bin/sh', ['-c', `command -v ${tool}`])
      .toString()
      .trim();
  } catch {
    return undefined;
  }
}

/**
 * What `node:test` takes as `skip`: a reason where a tool is missing. Where .ci/run could install it (it sets JUDGES_REQUIRED),
 * nothing is skipped, and a missing tool fails.
 */
export function skipWithout(...tools: readonly Tool[]): string | false {
  const missing = tools.filter((tool) => findTool(tool) === undefined);
  if (missing.length === 0 || process.env['JUDGES_REQUIRED'] !== undefined) return false;
  return `no ${missing.join(', no ')}; bash .ci/judge-tools builds what is not in the distribution`;
}

/** A test of its own, so that a judge that could not be asked is seen. */
export function requireTools(...tools: readonly Tool[]): void {
  for (const tool of tools) pathOf(tool);
}

function pathOf(tool: Tool): string {
  const path = findTool(tool);
  if (path === undefined) throw new Error(`there is no ${tool}; bash .ci/judge-tools builds what is not in Debian`);
  return path;
}

/** What Python needs to find its peers. */
export const cacheEnvironment = {
  ...process.env,
  PYTHONPATH: [pythonFolder, join(root, 'test/judges/python')].join(delimiter),
  PYTHONDONTWRITEBYTECODE: '1',
  // gRPC's client says what it has done.
  GRPC_GO_LOG_SEVERITY_LEVEL: 'info',
};

export interface ToolResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a tool that goes on until it is killed. */
export function startTool(tool: Tool, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn(pathOf(tool), args, { stdio: ['pipe', 'pipe', 'inherit'], ...options, env: cacheEnvironment });
}

/** Runs a tool to its end. */
export function runTool(
  tool: Tool,
  args: readonly string[],
  { input = '', withinMs = 60_000 }: { readonly input?: string | Buffer; readonly withinMs?: number } = {},
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(pathOf(tool), args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: cacheEnvironment,
      timeout: withinMs,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('latin1')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('latin1')));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Command line of a tool, for mesh.yaml. */
export const commandOf = (tool: Tool, ...args: readonly string[]): string => ['exec', pathOf(tool), ...args].join(' ');

/** Path of one of our scripts in Python. */
export const script = (name: string): string => join(root, 'test/judges/python', name);
