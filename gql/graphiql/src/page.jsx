// GraphiQL with the examples filled in. It speaks only to /graphql of its own server and keeps nothing in the browser.
import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import './page.css';
import { useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { useMonaco } from '@graphiql/react';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { getOperationAST } from 'graphql';
import { createClient } from 'graphql-sse';
import { examples } from './examples.js';

const NO_KEY =
  'This page has no API key. Write it into the Headers tab, after Bearer, and run again; or open the address that ends ' +
  'in #key=... instead. The key is not stored: after a reload it is needed again.';

const HEADERS_TO_FILL_IN = `{
  // The API key goes after Bearer.
  // Ctrl-Shift-R then loads the documentation.
  "Authorization": "Bearer "
}`;

const plugins = [HISTORY_PLUGIN, explorerPlugin()];

async function ask(request, { headers = {}, documentAST } = {}) {
  const sent = new Headers({
    'content-type': 'application/json',
    accept: 'application/graphql-response+json',
    ...headers,
  });
  if (!/^bearer\s+\S/i.test(sent.get('authorization') ?? '')) return { errors: [{ message: NO_KEY }] };
  if (documentAST && getOperationAST(documentAST, request.operationName)?.operation === 'subscription') return watch(request, sent);
  const answer = await fetch('/graphql', { method: 'POST', headers: sent, body: JSON.stringify(request) });
  return answer.json();
}

// As server-sent events: unlike a web socket they take the key as the header that the page has already.
function watch(request, sent) {
  sent.delete('accept'); // the client names its own
  return createClient({ url: '/graphql', headers: Object.fromEntries(sent) }).iterate(request);
}

function Page({ apiKey }) {
  const monaco = useMonaco((state) => state.monaco);
  const { initialize } = useMonaco((state) => state.actions);
  useEffect(() => void initialize(), [initialize]);
  // GraphiQL asks for the schema when it appears, with the headers of an editor that exists only when Monaco is loaded.
  if (!monaco) return <p className="waiting">Loading the editor …</p>;

  const headers = apiKey ? JSON.stringify({ Authorization: `Bearer ${apiKey}` }, null, 2) : HEADERS_TO_FILL_IN;
  return (
    <GraphiQL
      fetcher={ask}
      storage={null} // GraphiQL would put the variables, sipPassword among them, into localStorage
      shouldPersistHeaders={false}
      plugins={plugins}
      defaultTabs={examples.map((example) => ({ ...example, headers }))}
      defaultHeaders={headers}
      initialVariables={examples[0].variables}
      defaultEditorToolsVisibility={apiKey ? 'variables' : 'headers'}
    >
      <GraphiQL.Logo>trunkline</GraphiQL.Logo>
    </GraphiQL>
  );
}

export function show(element, apiKey) {
  createRoot(element).render(<Page apiKey={apiKey} />);
}
