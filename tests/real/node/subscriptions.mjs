// node subscriptions.mjs URL KEY: the clients of graphql-ws and graphql-sse watch trunks. Prints one JSON line per thing seen.
// Told "end" on standard input it ends. A client that was cut off comes back by itself.
import { createInterface } from 'node:readline';
import { createClient as overSse } from 'graphql-sse';
import { createClient as overWs } from 'graphql-ws';
import WebSocket from 'ws';

const [url, key] = process.argv.slice(2);
const authorization = `Bearer ${key}`;
const query = 'subscription { sipTrunkChanged { kind sipTrunk { phoneNumber nickname } } }';
const say = (who, what) => console.log(JSON.stringify({ who, ...what }));

// Subscribe first, then query: whatever happened while nobody listened is in the answer.
async function current() {
  const body = JSON.stringify({ query: '{ sipTrunks(first: 5) { nodes { nickname } } }' });
  const headers = { authorization, 'content-type': 'application/json' };
  const answer = await (await fetch(url, { method: 'POST', headers, body })).json();
  return answer.data.sipTrunks.nodes.map((node) => node.nickname);
}

function watch(who, client) {
  return client.subscribe({ query }, {
    next: (result) => say(who, { change: result.data.sipTrunkChanged }),
    error: (error) => say(who, { error: error.code ?? error.message ?? error }),
    complete: () => say(who, { complete: true }),
  });
}

const retry = { retryAttempts: 60, retryWait: () => new Promise((done) => setTimeout(done, 200)) };
const wsUrl = url.replace('http', 'ws');
const stranger = overWs({
  url: wsUrl, webSocketImpl: WebSocket, retryAttempts: 0, connectionParams: { authorization: 'Bearer tl_of-nobody-at-all-whatsoever' },
});
watch('stranger', stranger);
const ws = overWs({
  url: wsUrl, webSocketImpl: WebSocket, connectionParams: { authorization }, shouldRetry: () => true, ...retry,
  on: {
    // The answer to a ping that is sent after `subscribe` says that the subscription stands.
    connected: (socket) => setTimeout(() => socket.send(JSON.stringify({ type: 'ping' }))),
    pong: async (received) => received && say('ws', { stands: await current() }),
  },
});
watch('ws', ws);
const sse = overSse({
  url, headers: { authorization }, ...retry,
  // The head of the answer says that the subscription stands.
  fetchFn: async (...given) => {
    const answer = await fetch(...given);
    say('sse', { stands: await current() });
    return answer;
  },
});
watch('sse', sse);

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') break;
}
await ws.dispose();
sse.dispose();
process.exit(0);
