/**
 * Whom the planner asks besides the researcher, each in its own protocol, by the official SDK.
 *
 *   REVIEWER_URL    an A2A agent; without it nothing is reviewed
 *   LIBRARIAN_URL   an MCP server; without it nothing is read
 */
export interface Consultant {
  /** How the call is called in what the planner prints. */
  readonly call: string;
  /** @throws what the SDK throws */
  readonly consult: (question: string) => Promise<string>;
  /** Lets the process end. */
  readonly close: () => Promise<void>;
}

/** The SDKs are loaded only where there is somebody to call. */
export async function findConsultants({ REVIEWER_URL, LIBRARIAN_URL }: NodeJS.ProcessEnv): Promise<Consultant[]> {
  const found: Consultant[] = [];
  if (REVIEWER_URL !== undefined) {
    const { ReviewerClient } = await import('./reviewer-client.ts');
    const reviewer = new ReviewerClient(REVIEWER_URL);
    found.push({ call: 'Review', consult: (question) => reviewer.review(question), close: () => Promise.resolve() });
  }
  if (LIBRARIAN_URL !== undefined) {
    const { LibrarianClient } = await import('./librarian-client.ts');
    const librarian = new LibrarianClient(LIBRARIAN_URL);
    found.push({ call: 'Read', consult: () => librarian.read('glossary'), close: () => librarian.close() });
  }
  return found;
}

/**
 * Why there was no answer, in one line. Of what `fetch` throws the reason is further in; and both SDKs put the body of an
 * answer that is not of their protocol into the message, which here is the refusal of a sidecar (RFC 9457).
 */
export function describeFailure(error: unknown): { readonly status: string; readonly detail: string } {
  const { message, cause } = error as Error & { readonly cause?: { readonly code?: string } };
  const said = (member: string) => new RegExp(`"${member}":"([^"]*)"`).exec(message)?.[1];
  const code = message.includes('"urn:ait-mesh:') ? said('code') : cause?.code;
  return { status: code ?? 'FAILED', detail: (code !== undefined && said('detail')) || message };
}
