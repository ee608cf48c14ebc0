// A watcher that outlives the supervisor by a moment: when the supervisor dies without having cleaned up, it ends every
// process group that is left. It is a shell because it must cost nothing and survive everything.
import { spawn, type ChildProcess } from 'node:child_process';

// Reads `add GROUP` and `del GROUP`; at the end of input ends the groups: TERM, ten seconds, KILL. `quit` ends it alone.
const script = `
trap '' INT TERM HUP
groups=''
while read -r verb group; do
  case $verb in
    add) groups="$groups $group" ;;
    del) rest=''; for g in $groups; do [ "$g" = "$group" ] || rest="$rest $g"; done; groups=$rest ;;
    quit) exit 0 ;;
  esac
done
for g in $groups; do kill -s TERM -- "-$g" 2>/dev/null; done
n=0
while [ $n -lt 100 ]; do
  left=''
  for g in $groups; do kill -s 0 -- "-$g" 2>/dev/null && left=1; done
  [ -z "$left" ] && break
  sleep 0.1
  n=$((n + 1))
done
for g in $groups; do kill -s KILL -- "-$g" 2>/dev/null; done
rm -rf -- "$1"
`;

export class Guard {
  readonly #folder: string;
  readonly #groups = new Set<number>();
  #process: ChildProcess | undefined;
  #closed = false;

  /** @param folder removed at the end: where the sockets of the run lie */
  constructor(folder: string) {
    this.#folder = folder;
    this.#start();
  }

  /** Process number of the guard. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  add(group: number): void {
    this.#groups.add(group);
    this.#tell(`add ${group}`);
  }

  remove(group: number): void {
    this.#groups.delete(group);
    this.#tell(`del ${group}`);
  }

  /** The supervisor has ended everything itself. */
  close(): void {
    this.#closed = true;
    this.#tell('quit');
    this.#process?.stdin?.end();
  }

  #start(): void {
    const guard = spawn('/bin/sh', ['-c', script, 'lateen-guard', this.#folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#process = guard;
    guard.stdin.on('error', () => undefined); // it ended; 'exit' follows
    guard.on('error', () => undefined);
    guard.once('exit', () => {
      if (!this.#closed) this.#start();
    });
    guard.unref();
    for (const group of this.#groups) this.#tell(`add ${group}`);
  }

  #tell(line: string): void {
    this.#process?.stdin?.write(`${line}\n`);
  }
}
