import type { ServerHttp2Stream } from 'node:http2';
import type { CallMesh } from './call-mesh.ts';
import { Arrivals } from './arrivals.ts';

/** A call that reached the server and is not answered yet. */
export interface HeldCall {
  readonly stream: ServerHttp2Stream;
  readonly path: string;
  /** Settles with the code of the reset, 0 for an end in good order. */
  readonly over: Promise<number>;
}

/** From now on the server of this mesh answers no call by itself. */
export function holdCalls(world: CallMesh): Arrivals<HeldCall> {
  const held = new Arrivals<HeldCall>('a call at the server');
  world.server.onStream = ({ stream, headers }) => {
    const over = new Promise<number>((resolve) => stream.once('close', () => resolve(stream.rstCode ?? 0)));
    stream.resume();
    held.add({ stream, path: String(headers[':path']), over });
  };
  return held;
}

/** The head of an answer and one gRPC message; what follows is up to the test. */
export function beginAnswer({ stream }: HeldCall): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
  stream.write(Buffer.from([0, 0, 0, 0, 3, 1, 2, 3]));
}
