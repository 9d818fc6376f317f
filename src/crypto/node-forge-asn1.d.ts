/**
 * The deep path costs 0.8 MB where the package's entry costs 11 MB; published types exist only for the entry. Declared
 * here is what `asn1.ts` uses.
 */
declare module 'node-forge/lib/asn1.js' {
  export interface Asn1 {
    readonly tagClass: number;
    readonly type: number;
    readonly constructed: boolean;
    /** A binary string (one character a byte), or the members. */
    readonly value: string | Asn1[];
  }

  interface DecodeOptions {
    readonly strict: boolean;
    readonly parseAllBytes: boolean;
    readonly decodeBitStrings: boolean;
    readonly maxDepth: number;
  }

  interface ByteBuffer {
    getBytes(): string;
  }

  const api: {
    create(tagClass: number, type: number, constructed: boolean, value: string | Asn1[]): Asn1;
    fromDer(bytes: string, options: DecodeOptions): Asn1;
    toDer(value: Asn1): ByteBuffer;
    oidToDer(dotted: string): ByteBuffer;
    derToOid(bytes: string): string;
  };
  export default api;
}
