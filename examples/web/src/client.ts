// The client of one API key: queries and mutations over HTTP, the subscription over a web socket.
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from 'urql';
import { createClient } from 'graphql-ws';

export function clientFor(key: string): Client {
  const authorization = `Bearer ${key}`;
  const socket = createClient({
    url: `${location.origin.replace('http', 'ws')}/graphql`,
    connectionParams: { authorization }, // a browser cannot set headers on a web socket
    shouldRetry: () => true,
    retryAttempts: Infinity,
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
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query: query ?? '', variables }, sink) }),
        }),
      }),
    ],
  });
}
