import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP link that can be made to fail, between a client on 127.0.0.1 and a port there. */
export interface FaultProxy {
  readonly port: number;
  /** How many clients are connected. */
  readonly connections: number;
  /** Holds back every piece, in both directions, for so many milliseconds; 0 ends it. */
  delay(milliseconds: number): void;
  /** Destroys all connections now; new ones are taken. */
  cut(): void;
  /**
   * Destroys the next connection that has sent so many bytes from now on, these included; or, `before-reply`, the next one that the
   * server answers: the request arrives, the reply does not. Resolves when it has happened; once per call.
   */
  cutAfter(limit: number | "before-reply"): Promise<void>;
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
  hung: boolean;
}

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
  #trap: Trap | null = null;

  constructor(target: number) {
    this.#target = target;
    this.#listener = createServer({ noDelay: true }, (client) => this.#open(client));
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#links.size;
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

  cut(): void {
    for (const link of this.#links) this.#destroy(link);
  }

  cutAfter(limit: number | "before-reply"): Promise<void> {
    return new Promise((sprung) => {
      this.#trap = { remaining: limit, sprung };
    });
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

  #open(client: Socket): void {
    if (this.#mode === "refuse") {
      client.on("error", () => {});
      client.destroy();
      return;
    }
    const link = {
      client,
      server: connect({ port: this.#target, host: "127.0.0.1", noDelay: true }),
      hung: this.#mode === "hang",
    };
    this.#links.add(link);
    for (const socket of [link.client, link.server]) {
      socket.on("error", () => {});
      socket.once("close", () => this.#destroy(link));
    }
    link.client.on("data", (bytes: Buffer) => this.#forward(link, link.server, bytes, this.#caughtSending(bytes)));
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
    if (this.#delay === 0) target.write(bytes);
    else setTimeout(() => target.writable && target.write(bytes), this.#delay);
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
