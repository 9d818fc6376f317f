/** `node --import ./env-proxy.mjs program.mjs`: Node's own fetch goes through HTTP_PROXY, as curl and axios do anyway. */
import { EnvHttpProxyAgent, setGlobalDispatcher } from 'undici';

setGlobalDispatcher(new EnvHttpProxyAgent());
