// node page.mjs URL [SCREENSHOT]: opens the page in Chromium, runs every tab, and prints as JSON what it saw.
import { launch } from './browser.mjs';

const [url, screenshot] = process.argv.slice(2);
const key = new URLSearchParams(new URL(url).hash.slice(1)).get('key');

const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 760 }, colorScheme: 'light' });
const page = await context.newPage();
page.setDefaultTimeout(60_000);

const requests = [];
const problems = [];
context.on('request', (request) => requests.push(request));
const isStopped = (request) => request.failure().errorText === 'net::ERR_ABORTED'; // a subscription, by its button
context.on('requestfailed', (request) => isStopped(request) || problems.push(`failed: ${request.url()}`));
context.on('response', (answer) => answer.status() >= 400 && problems.push(`${answer.status()}: ${answer.url()}`));
context.on('weberror', ({ error }) => problems.push(`exception: ${error().message}`));
context.on('console', (line) => ['error', 'warning'].includes(line.type()) && problems.push(line.text()));

// The whole text of an editor, where the screen shows only the lines that fit. Waits until there is some.
async function textOf(name) {
  const read = (end) => globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith(end)).getValue();
  return (await page.waitForFunction(read, name)).jsonValue();
}

async function answerIn(tab) {
  await tab.click();
  await page.waitForTimeout(1000); // GraphiQL looks up the operation's name 100 ms after the last change
  await page.click('.graphiql-execute-button');
  return JSON.parse(await textOf('response.json'));
}

// What a subscription shows of a change that is made when it stands, which the head of its answer says.
async function changeIn(tab, { id }) {
  const stands = page.waitForResponse((answer) => answer.headers()['content-type']?.startsWith('text/event-stream'));
  const shown = answerIn(tab);
  await stands;
  const query = 'mutation ($input: UpdateSipTrunkInput!) { updateSipTrunk(input: $input) { message } }';
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ query, variables: { input: { id, nickname: 'Back office' } } });
  await fetch(new URL('/graphql', url), { method: 'POST', headers, body });
  const change = await shown;
  await page.click('.graphiql-execute-button'); // now it stops
  return change;
}

async function run() {
  const answers = {};
  for (const tab of await page.locator('.graphiql-tab-button').all()) {
    const name = await tab.textContent();
    const watches = key && name === 'SipTrunkChanged';
    answers[name] = await (watches ? changeIn(tab, answers.CreateSipTrunk.data.createSipTrunk.sipTrunk) : answerIn(tab));
  }
  await page.locator('.graphiql-tab-button').first().click();
  await page.waitForTimeout(2000); // for a moment the first tab's variables are compared with the last tab's query
  await page.waitForFunction(() => globalThis.__MONACO.editor.getModelMarkers({}).length === 0); // nothing is underlined
  return answers;
}

async function openPlugin(name) {
  await page.click(`[aria-label="Show ${name}"]`);
  return page.locator('.graphiql-plugin');
}

async function documentation() {
  const plugin = await openPlugin('Documentation Explorer');
  await plugin.getByText('Mutation', { exact: true }).click();
  await plugin.getByText('createSipTrunk').first().waitFor();
  return plugin.innerText();
}

async function explorer() {
  const plugin = await openPlugin('GraphiQL Explorer');
  await plugin.getByText('createSipTrunk').first().waitFor();
  return plugin.innerText();
}

async function historyEntries() {
  const plugin = await openPlugin('History');
  return plugin.locator('.graphiql-history-item').count();
}

// What a later visitor of this browser could find.
const kept = () =>
  page.evaluate(async () => ({
    localStorage: Object.keys(localStorage),
    sessionStorage: Object.keys(sessionStorage),
    cookies: document.cookie,
    databases: (await indexedDB.databases()).map(({ name }) => name),
    caches: await caches.keys(),
    serviceWorkers: (await navigator.serviceWorker.getRegistrations()).length,
  }));

let addressAtFirst;
await page.route('**/assets/page-*.js', (route) => {
  addressAtFirst = page.url(); // when the page's first small file has run and asks for the rest
  return route.continue();
});
const opened = await page.goto(url);
await page.waitForSelector('.graphiql-query-editor .view-line');
const seen = {
  addressAtFirst,
  address: page.url(),
  policy: opened.headers()['content-security-policy'],
  openEditor: await page.locator('.graphiql-editor-tools .active').textContent(),
  headers: await textOf('request-headers.json'),
  answers: await run(),
};
seen.shown = (await page.locator('.result-window').innerText()).replaceAll('\u00a0', ' ');
if (screenshot) await page.screenshot({ path: screenshot });
if (new URL(url).hash) {
  Object.assign(seen, { documentation: await documentation(), explorer: await explorer(), history: await historyEntries() });
}
const isForeign = (address) => !address.startsWith('data:') && new URL(address).origin !== new URL(url).origin;
Object.assign(seen, {
  kept: await kept(),
  posts: requests.filter((request) => request.method() === 'POST').length,
  foreign: requests.map((request) => request.url()).filter(isForeign),
  workers: page.workers().length,
  problems,
});
console.log(JSON.stringify(seen, null, 2));
await browser.close();
