/**
 * What a body cannot be without, if it is to be read at all: looked for in its bytes, because to parse every body would
 * cost every call. Each is sound for JSON in UTF-8: a name stands in it as it is, or with one of its letters written as an
 * escape `\u0041`, which no honest writer does. What may be UTF-16 or UTF-32 is always read, and then refused.
 */
const HIDDEN = String.raw`\\u00(?:2[fF]|[4-7])|\\u017[fF]|\\u212[aA]`;

/** Of a request: a push-notification configuration, the extended agent card, or a list of tools is asked for. */
const REQUEST = new RegExp(
  String.raw`pu(?:s|\xc5\xbf)h_?notification|extended_?(?:agent_?)?card|tools\\?\/list|${HIDDEN}`,
  'i',
);
/** Of an answer: a member that is called `tools`, in any spelling that some reader takes. */
const TOOLS = new RegExp(String.raw`"tool(?:s|\xc5\xbf)"|${HIDDEN}`, 'i');

/** How readers that guess tell the encoding: JSON begins with two characters of ASCII, or with a byte order mark. */
function mayBeWide(body: Buffer): boolean {
  return body.subarray(0, 4).includes(0) || (body[0] ?? 0) >= 0xfe;
}

/** Whether a request body may ask for something that has to be looked at. */
export function mayMatterAsRequest(body: Buffer): boolean {
  return mayBeWide(body) || REQUEST.test(body.toString('latin1'));
}

/** Whether a message of an MCP server may list tools. */
export function mayListTools(message: Buffer): boolean {
  return mayBeWide(message) || TOOLS.test(message.toString('latin1'));
}

/** Whether a text is JSON that is more than a single value, to whoever tries: what else it is does no harm. */
export function looksLikeJson(text: string): boolean {
  return /^\uFEFF?[ \t\r\n]*[[{]/.test(text);
}
