import { GrpcApp } from './grpc-app.ts';
import { connectionPerCall, grpcCalling, SteadyCalls, streamCalling, type Calling } from './steady-calls.ts';
import type { TestAgent } from './test-agent.ts';
import { TestApp } from './test-app.ts';

/** How an agent is called: a gRPC channel that is kept, a connection for each call, one connection for all calls. */
export type CallingKind = 'grpc' | 'connection' | 'stream';

export interface PodSpec {
  /** What the agent answers: echoes as gRPC calls, or byte for byte. */
  readonly speaks: 'grpc' | 'bytes';
  readonly calls: readonly { readonly callee: string; readonly kind: CallingKind }[];
  /** The next call begins so long after the last one ended, ms. */
  readonly everyMs: number;
}

const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 30_000;

/** One instance: its sidecar, and the agent beside it that answers and calls. */
export class Pod {
  readonly agent: TestAgent;
  /** Every caller there ever was; those of an agent that was started again are others. */
  readonly callers: SteadyCalls[] = [];
  readonly #spec: PodSpec;
  #app: TestApp | GrpcApp | undefined;
  #calling: readonly SteadyCalls[] = [];

  constructor(agent: TestAgent, spec: PodSpec) {
    this.agent = agent;
    this.#spec = spec;
  }

  get name(): string {
    return this.agent.name;
  }

  /** The callers that call now. */
  get calling(): readonly SteadyCalls[] {
    return this.#calling;
  }

  /** Agent and sidecar; returns when the sidecar is ready. */
  async start(): Promise<void> {
    this.#app = await (this.#spec.speaks === 'grpc' ? GrpcApp.start() : TestApp.start({ remember: false }));
    this.agent.config['app'] = { address: this.#app.address };
    await this.startSidecar();
  }

  async startSidecar(): Promise<void> {
    await this.agent.start({ awaitReady: false });
    await this.agent.waitFor('sidecar_ready', () => true, { deadlineMs: START_DEADLINE_MS });
  }

  /** Returns when each of its calls has succeeded once; from then on they are counted. */
  async beginCalls(): Promise<void> {
    this.#calling = await Promise.all(
      this.#spec.calls.map(({ callee, kind }) => {
        const calling = CALLINGS[kind](this.agent.socketTo(callee));
        return SteadyCalls.begin({ from: this.name, to: callee, kind }, calling, { everyMs: this.#spec.everyMs });
      }),
    );
    this.callers.push(...this.#calling);
  }

  async endCalls(): Promise<void> {
    const calling = this.#calling;
    this.#calling = [];
    await Promise.all(calling.map((calls) => calls.stop()));
  }

  /**
   * As a pod is taken down: the agent calls nobody any more, but answers until its sidecar has gone.
   *
   * @returns the sidecar's exit code.
   */
  async stop(): Promise<number | null> {
    await this.endCalls();
    const code = await this.agent.sidecar.stop(STOP_DEADLINE_MS);
    await this.#app?.stop();
    return code;
  }

  /** Ends what runs in this process, whatever state it is in. */
  async end(): Promise<void> {
    await this.endCalls();
    await this.#app?.stop();
  }
}

const CALLINGS: Readonly<Record<CallingKind, (socketPath: string) => Calling>> = {
  grpc: grpcCalling,
  connection: connectionPerCall,
  stream: streamCalling,
};
