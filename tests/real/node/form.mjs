// node form.mjs URL KEY: works with examples/web in Chromium as a person does, and prints as JSON what it saw.
import { connect, createServer } from 'node:net';
import { launch } from './browser.mjs';

const [url, key] = process.argv.slice(2);
const browser = await launch();
const open = async (address, secret, problems = []) => {
  const opened = await (await browser.newContext()).newPage();
  opened.setDefaultTimeout(60_000);
  opened.on('pageerror', (error) => problems.push(error.message));
  opened.on('console', (line) => line.type() === 'error' && problems.push(line.text()));
  await opened.goto(address);
  await opened.getByLabel('API key').fill(secret);
  await opened.getByRole('button', { name: 'Open' }).click();
  return opened;
};

// The same API, past the page.
const ask = async (query, variables) => {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const answer = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  return (await answer.json()).data;
};

const REMOVE = 'mutation ($input: DeleteSipTrunkInput!) { deleteSipTrunk(input: $input) { deletedId } }';
const left = (await ask('{ sipTrunks { nodes { id } } }')).sipTrunks.nodes; // by a try that was too slow
for (const { id } of left) await ask(REMOVE, { input: { id } });
const problems = [];
const page = await open(url, key, problems);

const form = page.getByRole('form', { name: 'New trunk' });
const field = (label) => form.locator('label', { hasText: new RegExp(`^${label}`) });
const fill = async (texts) => {
  for (const [label, text] of Object.entries(texts)) await field(label).locator('input').fill(text);
};
// What is said beside each field, by the field's label.
const beside = (selector) =>
  form.locator('label', { has: page.locator(selector) }).evaluateAll(
    (labels, each) =>
      Object.fromEntries(labels.map((label) => [label.firstChild.textContent, label.querySelector(each).textContent])),
    selector,
  );
const press = async (name, told) => {
  await form.getByRole('button', { name, exact: true }).click();
  await form.getByRole('status').filter({ hasText: told }).waitFor();
};

await form.locator('option[value="twilio"]').waitFor({ state: 'attached' });

const seen = {};
await fill({ 'Number or extension': '0741926265', 'SIP user name': 'alice', 'SIP password': 'x', 'SIP server': 'pbx.example.com:5060' });
await press('Create', 'The given data was invalid.');
seen.errors = await beside('em[role=alert]');

await fill({ Port: '506O' });
await form.getByRole('button', { name: 'Check', exact: true }).click();
seen.port = await field('Port').locator('em[role=alert]').textContent();

await fill({ Port: '', 'Number or extension': '+40741926265', 'SIP password': 'hunter2', 'SIP server': '8.8.4.4', Name: 'Front desk' });
await press('Check', 'The given data is valid.');
seen.errorsAfterwards = await beside('em[role=alert]');
seen.warnings = await beside('em.warning');

await form.getByLabel('Destination').fill('+40 212 345 678');
await field('Calling format').locator('select').selectOption('NATIONAL');
const preview = form.locator('output').filter({ hasText: 'sip:0212345678' });
await preview.waitFor();
seen.preview = await preview.textContent();
await form.getByLabel('Destination').fill('+12025550123');
seen.noPreview = await form.locator('fieldset p.warning').textContent();

await press('Create', 'SIP trunk created successfully.');
const listed = (name) => page.getByRole('listitem').filter({ hasText: name });
await listed('Front desk').filter({ hasText: 'ACTIVE' }).waitFor();
seen.created = await listed('Front desk').innerText();
seen.passwordAfterwards = await field('SIP password').locator('input').inputValue();

// What others do shows without a reload.
const input = {
  sipTrunkType: 'EXTENSION', phoneNumber: '1000', nickname: 'From elsewhere', sipUsername: 'bob', countryCode: 'RO',
  sipPassword: 'correct-horse-battery', sipAddress: '8.8.8.8', sipCallingFormat: 'PLUS_E164', inboundAuthorizationType: 'AUTH',
};
const create = 'mutation ($input: CreateSipTrunkInput!) { createSipTrunk(input: $input) { sipTrunk { id } } }';
const { id } = (await ask(create, { input })).createSipTrunk.sipTrunk;
await listed('From elsewhere').filter({ hasText: 'ACTIVE' }).waitFor();
await ask(REMOVE, { input: { id } });
await listed('From elsewhere').waitFor({ state: 'detached' });
seen.live = true;

// A key that is revoked is told on the page that watches with it.
const wish = { name: 'Of the page', scopes: ['READ'] };
const make = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }';
const made = (await ask(make, { input: wish })).createApiKey;
const watcher = await open(url, made.secret);
await watcher.getByRole('listitem').first().waitFor();
await ask('mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { revokedId } }', { input: made.apiKey });
seen.revoked = await watcher.getByRole('alert').first().textContent(); // by its subscription, or by a query just then

seen.kept = await page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage), document.cookie].join(''));
seen.problems = problems;

// What happened while the page was cut off shows when it is back.
const lines = new Set();
let isCut = false;
const between = createServer((line) => {
  if (isCut) return line.destroy();
  const onwards = connect(new URL(url).port, new URL(url).hostname);
  for (const end of [line, onwards]) end.on('error', () => {}) && lines.add(end);
  line.pipe(onwards).pipe(line);
});
await new Promise((listens) => between.listen(0, '127.0.0.1', listens));
const far = await open(`http://127.0.0.1:${between.address().port}`, key);
await far.getByRole('listitem').filter({ hasText: 'Front desk' }).waitFor();
isCut = true;
for (const end of lines) end.destroy();
await ask(create, { input: { ...input, nickname: 'Made meanwhile' } });
isCut = false;
await far.getByRole('listitem').filter({ hasText: 'Made meanwhile' }).waitFor();
seen.cutOff = true;
between.close();
console.log(JSON.stringify(seen, null, 2));
await browser.close();
