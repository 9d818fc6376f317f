/** One header field (RFC 9113, section 8.2). Octets are kept one to one, as latin1: nothing is decoded or folded. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
  /** Never to be put into a dynamic table, by anybody on the way (RFC 7541, section 7.1.3). Default false. */
  readonly sensitive?: boolean;
}
