// Holds a workload's key and certificate, gets them renewed in time, and makes the TLS contexts that use them. The key is
// made here, lives here and is in nothing that leaves the process.
import { createHash, hkdfSync, randomBytes, X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { createSigningRequest, type SigningRequest } from '../../identity/signing-request.js';
import { parseLeafCertificate } from '../../identity/leaf-certificate.js';
import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe-id.js';
import { Backoff } from '../../util/backoff.js';
import { messageOf } from '../../util/errors.js';

/** Fast on every machine with AES instructions, and TLS 1.3 has no weak suites to fall back to. */
const ciphers = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** Shortest time between two renewals, for certificates that hardly live, as when their root is about to expire. */
const shortestPauseMs = 500;

/** A certificate in use, with all that belongs to it. */
export interface Credentials {
  readonly uri: string;
  readonly id: SpiffeId;
  readonly notAfterMs: number;
  readonly clientContext: tls.SecureContext;
  /** Options for TLS servers; they share one key for session tickets. */
  readonly serverOptions: tls.SecureContextOptions;
  /** Changes with the roots that peers are checked against. */
  readonly trust: string;
  /** Changes with every certificate: sessions of another generation are not resumed by us. */
  readonly generation: number;
}

export interface SecretStoreOptions {
  /** Asks the authority: PEM certificates, leaf first, root last. */
  readonly requestCertificate: (csrPem: string) => Promise<readonly string[]>;
  readonly onFailure: (reason: string, retryInMs: number) => void;
  readonly random?: () => number;
  /** Keys of session tickets come from it: who has the same, and the same roots, resumes the same sessions. Absent: random. */
  readonly ticketSecret?: Uint8Array;
}

export class SecretStore {
  readonly #options: SecretStoreOptions;
  readonly #backoff = new Backoff({ firstMs: 100, longestMs: 5000 });
  readonly #watchers = new Set<(credentials: Credentials) => void>();
  #credentials: Credentials | undefined;
  readonly #ticketSecret: Uint8Array;
  #generation = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: SecretStoreOptions) {
    this.#options = options;
    this.#ticketSecret = options.ticketSecret ?? randomBytes(32);
  }

  /** Undefined until the first certificate has arrived. */
  get credentials(): Credentials | undefined {
    return this.#credentials;
  }

  /** Calls back at every new certificate, and now where there is one. */
  watch(watcher: (credentials: Credentials) => void): () => void {
    this.#watchers.add(watcher);
    if (this.#credentials !== undefined) watcher(this.#credentials);
    return () => this.#watchers.delete(watcher);
  }

  start(): void {
    void this.#renew();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#watchers.clear();
  }

  async #renew(): Promise<void> {
    let nextMs: number;
    try {
      const request = createSigningRequest();
      const chain = await this.#options.requestCertificate(request.csrPem);
      if (this.#closed) return;
      const credentials = this.#adopt(request, chain);
      this.#backoff.reset();
      // Half of what is left, a little earlier or later, so that proxies started together do not ask together.
      const jitter = 0.49 + 0.02 * (this.#options.random ?? Math.random)();
      nextMs = Math.max(shortestPauseMs, (credentials.notAfterMs - Date.now()) * jitter);
    } catch (error) {
      if (this.#closed) return;
      nextMs = this.#backoff.next();
      this.#options.onFailure(messageOf(error), nextMs);
    }
    // Timers of Node hold 2^31 milliseconds at most.
    this.#timer = setTimeout(() => void this.#renew(), Math.min(nextMs, 2 ** 31 - 1));
  }

  #adopt(request: SigningRequest, chain: readonly string[]): Credentials {
    const [leafPem] = chain;
    const rootPem = chain.at(-1);
    if (leafPem === undefined || rootPem === undefined || chain.length < 2)
      throw new Error('the authority answered without a chain of certificates');
    const leaf = new X509Certificate(leafPem);
    if (!leaf.checkPrivateKey(request.privateKey))
      throw new Error('the authority answered with a certificate for another key');
    const { uris, notAfterMs } = parseLeafCertificate(leaf.raw);
    const uri = uris[0] ?? '';
    const id = parseSpiffeId(uri);
    if (id === undefined || uris.length !== 1)
      throw new Error('the authority answered with a certificate without a SPIFFE ID');
    if (notAfterMs <= Date.now()) throw new Error('the authority answered with a certificate that is over');
    const trust = createHash('sha256').update(rootPem).digest('hex');
    // Tickets vouch for peers that were checked against the old roots: new roots, new tickets.
    const ticketKeys = Buffer.from(hkdfSync('sha256', this.#ticketSecret, trust, 'session tickets', 48));
    const shared: tls.SecureContextOptions = {
      key: request.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: chain.slice(0, -1).join(''),
      ca: rootPem,
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers,
    };
    const credentials: Credentials = {
      uri,
      id,
      notAfterMs,
      trust,
      clientContext: tls.createSecureContext(shared),
      serverOptions: { ...shared, ticketKeys, sessionIdContext: 'lateen' },
      generation: ++this.#generation,
    };
    this.#credentials = credentials;
    for (const watcher of this.#watchers) watcher(credentials);
    return credentials;
  }
}
