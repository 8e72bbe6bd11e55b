// node audit.mjs URL KEY: runs the server audits of graphql-http; prints as JSON how many held per level, and what failed.
import { serverAudits } from 'graphql-http';

const [url, key] = process.argv.slice(2);

function fetchFn(input, init = {}) {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${key}`);
  return fetch(input, { ...init, headers });
}

const held = {};
const failed = [];
for (const audit of serverAudits({ url, fetchFn })) {
  const result = await audit.fn();
  const level = audit.name.split(' ')[0];
  held[level] = (held[level] ?? 0) + (result.status === 'ok' ? 1 : 0);
  if (result.status !== 'ok') failed.push(`${audit.id} ${audit.name}: ${result.reason}`);
}
console.log(JSON.stringify({ held, failed }));
