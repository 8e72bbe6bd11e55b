// node form.mjs URL KEY: works with examples/web in Chromium as a person does, and prints as JSON what it saw.
import { launch } from './browser.mjs';

const [url, key] = process.argv.slice(2);
const browser = await launch();
const page = await (await browser.newContext()).newPage();
page.setDefaultTimeout(60_000);
const problems = [];
page.on('pageerror', (error) => problems.push(error.message));
page.on('console', (line) => line.type() === 'error' && problems.push(line.text()));

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

// The same API, past the page.
const ask = async (query, variables) => {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const answer = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  return (await answer.json()).data;
};

await page.goto(url);
await page.getByLabel('API key').fill(key);
await page.getByRole('button', { name: 'Open' }).click();
await form.locator('option[value="twilio"]').waitFor({ state: 'attached' });

const seen = {};
await fill({ 'Number or extension': '0741926265', 'SIP user name': 'alice', 'SIP password': 'x', 'SIP server': 'pbx.example.com:5060' });
await press('Create', 'The given data was invalid.');
seen.errors = await beside('em[role=alert]');

await fill({ 'Number or extension': '+40741926265', 'SIP password': 'hunter2', 'SIP server': '8.8.4.4', Name: 'Front desk', Country: 'RO' });
await press('Check', 'The given data is valid.');
seen.errorsAfterwards = await beside('em[role=alert]');
seen.warnings = await beside('em.warning');

await form.getByLabel('Destination').fill('+40 212 345 678');
await field('Calling format').locator('select').selectOption('NATIONAL');
const preview = form.locator('output').filter({ hasText: '0212345678' });
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
await ask('mutation ($input: DeleteSipTrunkInput!) { deleteSipTrunk(input: $input) { deletedId } }', { input: { id } });
await listed('From elsewhere').waitFor({ state: 'detached' });
seen.live = true;

seen.kept = await page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage), document.cookie].join(''));
seen.problems = problems;
console.log(JSON.stringify(seen, null, 2));
await browser.close();
