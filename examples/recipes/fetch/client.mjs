/**
 * Asks the researcher with Node's own fetch, and reads server-sent events as they come.
 *
 *   RESEARCHER_URL   where the sidecar takes calls to the researcher: http://127.0.0.1:17001
 */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

const { RESEARCHER_URL } = process.env;

/** The JSON of a refusal, thrown as an error; an answer of the researcher itself is returned, whatever its status. */
async function call(path, init) {
  const response = await fetch(new URL(path, RESEARCHER_URL), init);
  const code = response.headers.get('x-ait-refused');
  if (code === null) return response;
  const { title, detail } = await response.json();
  throw new Error(`${response.status} ${code}: ${detail ?? title}`);
}

try {
  const response = await call('/ask', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ question: 'Who approves a baseline?' }),
  });
  console.log((await response.json()).answer);

  const events = await call('/findings');
  for await (const line of createInterface({ input: Readable.fromWeb(events.body) }))
    if (line.startsWith('data: ')) console.log(line.slice('data: '.length));
} catch (error) {
  // `fetch failed` has the reason in its cause.
  console.log(`${error.name}: ${error.message}${error.cause ? `: ${error.cause.code}` : ''}`);
  process.exitCode = 1;
}
