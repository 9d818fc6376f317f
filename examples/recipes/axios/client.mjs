/**
 * Asks the researcher with axios, and reads server-sent events as they come.
 *
 *   RESEARCHER_URL   where the sidecar takes calls to the researcher: http://127.0.0.1:17001
 */
import { createInterface } from 'node:readline';
import axios from 'axios';

const researcher = axios.create({ baseURL: process.env.RESEARCHER_URL });

try {
  const { data } = await researcher.post('/ask', { question: 'Who approves a baseline?' });
  console.log(data.answer);

  const { data: events } = await researcher.get('/findings', { responseType: 'stream' });
  for await (const line of createInterface({ input: events }))
    if (line.startsWith('data: ')) console.log(line.slice('data: '.length));
} catch (error) {
  if (!axios.isAxiosError(error)) throw error;
  // An answer without this header is the researcher's own.
  const code = error.response?.headers['x-ait-refused'];
  console.log(`${error.name} ${error.code}: ${code ?? error.message}`);
  process.exitCode = 1;
}
