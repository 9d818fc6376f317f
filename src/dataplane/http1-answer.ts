/** A head that is longer is no head to us; the answer then counts as one that has no end of its own. */
const MAX_HEAD_BYTES = 16 * 1024;
const LAST_CHUNK = '0\r\n\r\n';

/**
 * Whether an HTTP/1 answer is still on its way, so that one which pauses (server-sent events, a slow model) is not taken
 * for one that is over. It reads the head of an answer and otherwise counts bytes. What does not begin as an answer of
 * HTTP/1 does is never on its way.
 */
export class Http1Answer {
  #head = '';
  #bodyLeft = 0;
  #chunked = false;
  /** The last bytes of a chunked body: its end may be cut in two. */
  #tail = '';

  get underWay(): boolean {
    return this.#head !== '' || this.#chunked || this.#bodyLeft > 0;
  }

  /** @param first whether these are the first bytes that the server sends after some of the client. */
  read(chunk: Buffer, first: boolean): void {
    if (this.#head !== '' || (first && !this.underWay && chunk.subarray(0, 7).toString('latin1') === 'HTTP/1.')) {
      this.#readHead(chunk);
    } else if (this.#chunked) this.#readChunked(chunk);
    else this.#bodyLeft = Math.max(0, this.#bodyLeft - chunk.length);
  }

  #readHead(chunk: Buffer): void {
    const before = this.#head.length;
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#head.length > MAX_HEAD_BYTES) this.#settle('', Infinity);
      return;
    }
    const head = this.#head.slice(0, end);
    const status = Number(head.slice(9, 12));
    const bodyHere = chunk.subarray(Math.max(0, end + 4 - before));
    // An interim answer is followed by the final one.
    if (status >= 100 && status < 200 && status !== 101) {
      this.#head = '';
      if (bodyHere.length > 0) this.read(bodyHere, true);
      return;
    }
    this.#settle(head, bodyHere.length);
    if (this.#chunked) this.#readChunked(bodyHere);
    if (status === 204 || status === 304) this.#bodyLeft = 0;
  }

  #settle(head: string, bodyBytes: number): void {
    this.#head = '';
    this.#chunked = /^transfer-encoding:.*\bchunked[ \t]*$/im.test(head);
    const length = /^content-length:[ \t]*(\d{1,15})[ \t]*$/im.exec(head)?.[1];
    // Neither: the answer ends with the connection, and that is not for us to end.
    this.#bodyLeft = this.#chunked ? 0 : length === undefined ? Infinity : Math.max(0, Number(length) - bodyBytes);
  }

  #readChunked(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.subarray(-LAST_CHUNK.length).toString('latin1')).slice(-LAST_CHUNK.length);
    if (this.#tail !== LAST_CHUNK) return;
    this.#chunked = false;
    this.#tail = '';
  }
}
