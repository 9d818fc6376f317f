/**
 * Finds the researcher by its agent card, asks it one question, and follows a task as it goes.
 *
 *   RESEARCHER_URL   where the sidecar takes calls to the researcher: http://127.0.0.1:17001
 *   BINDING          JSONRPC (default) or HTTP+JSON
 */
import { randomUUID } from 'node:crypto';
import { SendMessageRequest } from '@a2a-js/sdk';
import { ClientFactory, ClientFactoryOptions } from '@a2a-js/sdk/client';

const { RESEARCHER_URL, BINDING = 'JSONRPC' } = process.env;

function message(text) {
  return SendMessageRequest.fromJSON({ message: { messageId: randomUUID(), role: 'ROLE_USER', parts: [{ text }] } });
}

try {
  const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, { preferredTransports: [BINDING] });
  const researcher = await new ClientFactory(options).createFromUrl(RESEARCHER_URL);

  const answer = await researcher.sendMessage(message('Who approves a baseline?'));
  console.log(answer.parts[0].content.value);

  for await (const { payload } of researcher.sendMessageStream(message('What findings are there?')))
    if (payload.$case === 'artifactUpdate') console.log(payload.value.artifact.parts[0].content.value);
} catch (error) {
  console.log(`${error.name}: ${error.message}${error.cause ? `: ${error.cause.code}` : ''}`);
  process.exitCode = 1;
}
