// Asks for an API key, keeps it in memory alone, and shows the form beside the trunks.
import { StrictMode, useMemo, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { clientFor } from './client';
import { TrunkForm } from './TrunkForm';
import { TrunkList } from './TrunkList';

function App() {
  const [key, setKey] = useState('');
  const [standing, setStanding] = useState(0); // how often the subscription stood: more than once after a reconnect
  const client = useMemo(() => clientFor(key, () => setStanding((times) => times + 1)), [key]);
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
        <TrunkList standing={standing} />
      </main>
    </Provider>
  );
}

createRoot(document.getElementById('root')!).render(<StrictMode><App /></StrictMode>);
