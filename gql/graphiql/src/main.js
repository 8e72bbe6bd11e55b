// Takes the API key out of the address before anything else is loaded, then loads the page.
const keyIn = (address) => new URLSearchParams(address.hash.slice(1)).get('key') ?? '';

const key = keyIn(location);
if (key) history.replaceState(null, '', location.pathname + location.search);

// An address with another key, pasted into the open page, changes only the fragment: start again with it.
addEventListener('hashchange', () => keyIn(location) && location.reload());

const { show } = await import('./page.jsx');
show(document.getElementById('page'), key);
