import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A TCP link that can be made to fail, between a client on 127.0.0.1 and a port there. */
export interface FaultProxy {
  readonly port: number;
  /** How many clients are connected. */
  readonly connections: number;
  /** Pieces that clients have sent: about as many as there were round trips. */
  readonly pieces: number;
  /** Holds back every piece, in both directions, for so many milliseconds; 0 ends it. */
  delay(milliseconds: number): void;
  /**
   * Lets new connections through a few at a time, the last first, and holds back what each sends and gets for a time of its own, up to so
   * many milliseconds, so that connections overtake each other; 0 ends it.
   */
  reorder(milliseconds: number): void;
  /** Destroys all connections now; new ones are taken. */
  cut(): void;
  /** Destroys each of the present connections when it sends something. */
  cutOnUse(): void;
  /**
   * Destroys the next connection that has sent so many bytes from now on, these included; or, `before-reply`, the next one that the
   * server answers: the request arrives, the reply does not. Resolves when it has happened; once per call.
   */
  cutAfter(limit: number | "before-reply"): Promise<void>;
  /** Forgets a `cutAfter` that has not happened. */
  disarm(): void;
  /** Destroys new connections at once. `accept()` ends it. */
  refuse(): void;
  accept(): void;
  /** Swallows everything in both directions, and answers nothing on new connections. `accept()` ends it for new connections. */
  hang(): void;
  close(): Promise<void>;
}

/** A proxy in front of a port on 127.0.0.1. */
export async function startProxy(targetPort: number): Promise<FaultProxy> {
  const proxy = new Forwarder(targetPort);
  await proxy.listen();
  return proxy;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** What this connection is held back for beyond the others, in milliseconds. */
  readonly lag: number;
  hung: boolean;
  doomed: boolean;
}

/** New connections wait for so many others, or for so long in milliseconds, to be let through before them. */
const gathering = { connections: 3, ms: 20 } as const;

interface Trap {
  remaining: number | "before-reply";
  readonly sprung: () => void;
}

class Forwarder implements FaultProxy {
  readonly #target: number;
  readonly #listener: Server;
  readonly #links = new Set<Link>();
  #mode: "accept" | "refuse" | "hang" = "accept";
  #delay = 0;
  #mostLag = 0;
  #opened = 0;
  #gathered: Socket[] = [];
  /** Resolves when the last piece that is held back for a socket has been sent. */
  readonly #held = new WeakMap<Socket, Promise<void>>();
  #pieces = 0;
  #trap: Trap | null = null;

  constructor(target: number) {
    this.#target = target;
    this.#listener = createServer({ noDelay: true }, (client) => this.#take(client));
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#links.size;
  }

  get pieces(): number {
    return this.#pieces;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen(0, "127.0.0.1", resolve);
    });
  }

  delay(milliseconds: number): void {
    this.#delay = milliseconds;
  }

  reorder(milliseconds: number): void {
    this.#mostLag = milliseconds;
    if (milliseconds === 0) this.#letThrough();
  }

  cut(): void {
    for (const link of this.#links) this.#destroy(link);
  }

  cutOnUse(): void {
    for (const link of this.#links) link.doomed = true;
  }

  cutAfter(limit: number | "before-reply"): Promise<void> {
    return new Promise((sprung) => {
      this.#trap = { remaining: limit, sprung };
    });
  }

  disarm(): void {
    this.#trap = null;
  }

  refuse(): void {
    this.#mode = "refuse";
  }

  accept(): void {
    this.#mode = "accept";
  }

  hang(): void {
    this.#mode = "hang";
    for (const link of this.#links) link.hung = true;
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    this.cut();
    return closed;
  }

  #take(client: Socket): void {
    client.on("error", () => {});
    if (this.#mode === "refuse") client.destroy();
    else if (this.#mostLag === 0) this.#open(client);
    else this.#gather(client);
  }

  #gather(client: Socket): void {
    this.#gathered.push(client);
    if (this.#gathered.length >= gathering.connections) this.#letThrough();
    else setTimeout(() => this.#letThrough(), gathering.ms);
  }

  #letThrough(): void {
    for (const client of this.#gathered.splice(0).reverse()) if (!client.destroyed) this.#open(client);
  }

  #open(client: Socket): void {
    const link = {
      client,
      server: connect({ port: this.#target, host: "127.0.0.1", noDelay: true }),
      // Neighbours are far apart from each other.
      lag: (this.#opened++ * 7) % (this.#mostLag + 1),
      hung: this.#mode === "hang",
      doomed: false,
    };
    this.#links.add(link);
    for (const socket of [link.client, link.server]) {
      socket.on("error", () => {});
      socket.once("close", () => this.#destroy(link));
    }
    link.client.on("data", (bytes: Buffer) => {
      this.#pieces++;
      if (link.doomed) return this.#destroy(link);
      this.#forward(link, link.server, bytes, this.#caughtSending(bytes));
    });
    link.server.on("data", (bytes: Buffer) => this.#forward(link, link.client, bytes, this.#caughtReplying()));
  }

  #forward(link: Link, target: Socket, bytes: Buffer, trap: Trap | null): void {
    if (link.hung) return;
    if (trap !== null) {
      this.#trap = null;
      this.#destroy(link);
      trap.sprung();
      return;
    }
    this.#send(target, bytes, this.#delay + (this.#mostLag === 0 ? 0 : link.lag));
  }

  /** The pieces of one connection stay in their order, whatever each is held back for. */
  #send(target: Socket, bytes: Buffer, heldMs: number): void {
    const before = this.#held.get(target);
    if (heldMs === 0 && before === undefined) {
      target.write(bytes);
      return;
    }
    const due = performance.now() + heldMs;
    const sent = Promise.resolve(before)
      .then(() => sleep(Math.max(0, due - performance.now())))
      .then(() => {
        if (target.writable) target.write(bytes);
        if (this.#held.get(target) === sent) this.#held.delete(target);
      });
    this.#held.set(target, sent);
  }

  #caughtSending(bytes: Buffer): Trap | null {
    const trap = this.#trap;
    if (trap === null || trap.remaining === "before-reply") return null;
    trap.remaining -= bytes.length;
    return trap.remaining <= 0 ? trap : null;
  }

  #caughtReplying(): Trap | null {
    return this.#trap?.remaining === "before-reply" ? this.#trap : null;
  }

  #destroy(link: Link): void {
    if (!this.#links.delete(link)) return;
    link.client.destroy();
    link.server.destroy();
  }
}
