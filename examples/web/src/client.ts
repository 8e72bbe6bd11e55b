// The client of one API key: queries and mutations over HTTP, the subscription over a web socket.
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from 'urql';
import { createClient } from 'graphql-ws';

// onStanding: the subscription stands, after every (re)connect. From then on a query misses nothing.
export function clientFor(key: string, onStanding: () => void): Client {
  const authorization = `Bearer ${key}`;
  const socket = createClient({
    url: `${location.origin.replace('http', 'ws')}/graphql`,
    connectionParams: { authorization }, // a browser cannot set headers on a web socket
    shouldRetry: () => true,
    retryAttempts: Infinity,
    on: {
      connected: (opened) => setTimeout(() => (opened as WebSocket).send('{"type":"ping"}')), // after `subscribe`
      pong: (received) => received && onStanding(),
    },
  });
  return new Client({
    url: '/graphql',
    preferGetMethod: false, // nothing of a form belongs into an address
    fetchOptions: { headers: { authorization } },
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query: query ?? '', variables }, {
              ...sink,
              error: (why) => sink.error(why instanceof CloseEvent ? new Error(why.reason) : why), // a key that was revoked
            }),
          }),
        }),
      }),
    ],
  });
}
