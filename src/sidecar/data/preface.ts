import type { TLSSocket } from 'node:tls';

/** Largest preface message, in bytes, without its two length bytes. */
export const MAX_PREFACE_BYTES = 1024;
const LENGTH_BYTES = 2;

export type PrefaceRead =
  | { readonly ok: true; readonly message: Buffer }
  | {
      readonly ok: false;
      readonly detail: string;
      /** The peer closed in good order without having sent a byte. Default false. */
      readonly isUnused?: boolean;
    };

/** A message behind its length as an unsigned 16-bit big-endian number (`proto/ait/v1/data.proto`). */
export function framePreface(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + message.length);
  frame.writeUInt16BE(message.length, 0);
  frame.set(message, LENGTH_BYTES);
  return frame;
}

/**
 * Reads exactly one preface message and not one byte more: what follows stays in the socket, unread, until somebody is
 * entitled to it. Never rejects.
 */
export function readPreface(socket: TLSSocket, timeoutMs: number): Promise<PrefaceRead> {
  return new Promise((resolve) => {
    let wanted: number | undefined;
    const finish = (result: PrefaceRead) => {
      clearTimeout(timer);
      socket.off('readable', onReadable);
      socket.off('end', onGoodEnd);
      socket.off('close', onClose);
      resolve(result);
    };
    const broken = 'the connection ended before the preface was complete';
    const onEnd = (isUnused = false) => finish({ ok: false, detail: broken, isUnused });
    // With some of it read, or some of it waiting to be, it was begun.
    const onGoodEnd = () => onEnd(wanted === undefined && socket.readableLength === 0);
    const onClose = () => onEnd();
    const onReadable = () => {
      if (wanted === undefined) {
        const length = socket.read(LENGTH_BYTES) as Buffer | null;
        if (length === null) return;
        // On a stream that has ended, read() gives what is left, however little.
        if (length.length < LENGTH_BYTES) {
          onEnd();
          return;
        }
        wanted = length.readUInt16BE(0);
        if (wanted === 0 || wanted > MAX_PREFACE_BYTES) {
          finish({ ok: false, detail: `a preface of ${wanted} bytes; 1 to ${MAX_PREFACE_BYTES} are allowed` });
          return;
        }
      }
      const message = socket.read(wanted) as Buffer | null;
      if (message === null) return;
      if (message.length < wanted) onEnd();
      else finish({ ok: true, message });
    };
    const timer = setTimeout(
      () => finish({ ok: false, detail: `no complete preface within ${timeoutMs} ms` }),
      timeoutMs,
    );
    socket.on('readable', onReadable);
    socket.once('end', onGoodEnd);
    socket.once('close', onClose);
    onReadable();
  });
}
