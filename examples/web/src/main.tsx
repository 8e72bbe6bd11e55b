// Asks for an API key, keeps it in memory alone, and shows the form beside the trunks.
import { StrictMode, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { clientFor } from './client';
import { TrunkForm } from './TrunkForm';
import { TrunkList } from './TrunkList';

function App() {
  const [key, setKey] = useState('');
  const client = useMemo(() => clientFor(key), [key]);
  if (!key) {
    const take = (form: FormData) => setKey(String(form.get('key')).trim());
    return (
      <form action={take} className="narrow">
        <label>
          API key
          <input name="key" type="password" autoComplete="off" required autoFocus />
        </label>
        <button>Open</button>
      </form>
    );
  }
  return (
    <Provider value={client}>
      <main>
        <TrunkForm />
        <TrunkList />
      </main>
    </Provider>
  );
}

createRoot(document.getElementById('root')!).render(<StrictMode><App /></StrictMode>);
