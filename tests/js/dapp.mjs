// A browser wallet's view: MetaMask's test dapp in Chromium over an injected provider (EIP-1193) that
// forwards to the node. `node dapp.mjs URL URL2`: the second node has chain id 1338, to which the
// dapp switches. CHROMIUM names the browser.
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';
import { createPublicClient, http, parseEther, recoverMessageAddress, verifyMessage } from 'viem';
import { assert, finish, reader, step, url } from './kit.mjs';

const other = process.argv[3];
const require = createRequire(import.meta.url);
const folder = join(dirname(require.resolve('@metamask/test-dapp/package.json')), 'dist');
const types = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', json: 'application/json' };

/** The dapp's files, on a free port. */
const site = createServer((request, response) => {
  const path = join(folder, normalize(new URL(request.url, 'http://x').pathname).replace(/\/$/, '/index.html'));
  if (!path.startsWith(folder) || !existsSync(path)) return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': types[path.split('.').pop()] ?? 'application/octet-stream' });
  createReadStream(path).pipe(response);
});
await new Promise(resolve => site.listen(0, '127.0.0.1', resolve));
const page_url = `http://localhost:${site.address().port}/`;

/** The wallet: runs in the page before the dapp does. What a node can answer, the node answers. */
function wallet(nodes) {
  const listeners = {};
  const sent = new Map();
  let chainId = '0x7a69';
  const emit = (event, value) => (listeners[event] ?? []).forEach(listener => listener(value));
  async function node(method, params = []) {
    const response = await fetch(nodes[chainId], {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = await response.json();
    if (error) throw Object.assign(new Error(error.message), error);
    return result;
  }
  const permissions = [{ parentCapability: 'eth_accounts', caveats: [] }];
  const own = {
    wallet_requestPermissions: () => permissions,
    wallet_getPermissions: () => permissions,
    personal_ecRecover: ([data, signature]) => window.recoverSigner(data, signature),
    wallet_getCapabilities: () => ({ [chainId]: { atomic: { status: 'unsupported' } } }),
    wallet_switchEthereumChain: ([{ chainId: wanted }]) => {
      if (!nodes[wanted]) throw Object.assign(new Error(`Unrecognized chain ID ${wanted}`), { code: 4902 });
      chainId = wanted;
      emit('chainChanged', wanted);
      return null;
    },
    wallet_sendCalls: async ([{ from, calls, version }]) => {
      const hashes = [];
      for (const call of calls) hashes.push(await node('eth_sendTransaction', [{ from, ...call }]));
      const id = `0x${'0'.repeat(62)}${(sent.size + 1).toString(16).padStart(2, '0')}`;
      sent.set(id, { hashes, version });
      return { id };
    },
    wallet_getCallsStatus: async ([id]) => {
      const { hashes, version } = sent.get(id);
      const receipts = await Promise.all(hashes.map(hash => node('eth_getTransactionReceipt', [hash])));
      return { version, id, chainId, atomic: false, status: receipts.every(r => r?.status === '0x1') ? 200 : 100, receipts };
    },
  };
  const provider = {
    isMetaMask: true,
    selectedAddress: null,
    isConnected: () => true,
    request: async ({ method, params }) => {
      window.asked = [...(window.asked ?? []), method];
      return own[method] ? own[method](params) : node(method, params);
    },
    on: (event, listener) => { (listeners[event] ??= []).push(listener); return provider; },
    removeListener: (event, listener) => { listeners[event] = (listeners[event] ?? []).filter(l => l !== listener); return provider; },
    removeAllListeners: event => { delete listeners[event]; return provider; },
  };
  provider.sendAsync = ({ id, method, params }, callback) => provider.request({ method, params })
    .then(result => callback(null, { id, jsonrpc: '2.0', result }), callback);
  window.ethereum = provider;
  const info = { uuid: '350670db-19fa-4704-a166-e52e178b59d2', name: 'Wallet', icon: 'data:,', rdns: 'test.wallet' };
  const announce = () => window.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail: Object.freeze({ info, provider }) }));
  window.addEventListener('eip6963:requestProvider', announce);
  announce();
}

const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags });
const page = await browser.newPage();
page.setDefaultTimeout(30_000);
const complaints = [];
page.on('pageerror', error => complaints.push(error.message));
// Fonts and styles from elsewhere.
await page.route(address => address.hostname !== 'localhost' && address.hostname !== '127.0.0.1', route => route.abort());
await page.exposeFunction('recoverSigner', async (raw, signature) =>
  (await recoverMessageAddress({ message: { raw }, signature })).toLowerCase());
await page.addInitScript(wallet, { '0x7a69': url, '0x53a': other });
await page.goto(page_url);

const text = id => page.locator(`#${id}`).innerText();
// Clicks as the page's own code sees them; without its styles, elements lie over each other.
const click = id => page.locator(`#${id}`).dispatchEvent('click');
const until = (id, wanted) => page.waitForFunction(
  ([id, wanted]) => new RegExp(wanted).test(document.getElementById(id)?.innerHTML ?? ''), [id, wanted.source]);
const enabled = id => page.waitForFunction(id => document.getElementById(id)?.disabled === false, id);

/** What the first account sent since `count`, as the chain has it. */
async function sentSince(count) {
  const [me] = await reader.request({ method: 'eth_accounts' });
  for (let tries = 0; (await reader.getTransactionCount({ address: me })) <= count; tries += 1) {
    assert.ok(tries < 300, 'no transaction within 30 s');
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  const block = await reader.getBlock({ includeTransactions: true });
  return block.transactions.at(-1);
}
const [me] = await reader.request({ method: 'eth_accounts' });
const nonce = () => reader.getTransactionCount({ address: me });

await step('connects', async () => {
  await enabled('connectButton');
  await click('connectButton');
  await until('accounts', /0x/);
  assert.equal((await text('accounts')).slice(0, 42).toLowerCase(), me.toLowerCase());
  assert.equal(await text('chainId'), '0x7a69');
  assert.equal(await text('network'), '31337');
});

await step('sends legacy and EIP-1559 transactions', async () => {
  for (const [button, type, price] of [['sendButton', 'legacy', 10_000_000_000n], ['sendEIP1559Button', 'eip1559', null]]) {
    await enabled(button);
    const before = await nonce();
    await click(button);
    const tx = await sentSince(before);
    assert.equal(tx.type, type);
    assert.equal(tx.to, '0x0c54fccd2e384b4bb6f2e405bf5cbc15a017aafb');
    if (price) assert.equal(tx.gasPrice, price);
    assert.equal((await reader.getTransactionReceipt({ hash: tx.hash })).status, 'success');
  }
});

await step('deploys a contract, pays in and draws out', async () => {
  await enabled('deployButton');
  const before = await nonce();
  await click('deployButton');
  await until('contractStatus', /^Deployed$/);
  const { hash } = await sentSince(before);
  const { contractAddress } = await reader.getTransactionReceipt({ hash });
  await click('depositButton');
  await until('contractStatus', /^Deposit completed$/);
  assert.equal(await reader.getBalance({ address: contractAddress }), parseEther('4'));
  await click('withdrawButton');
  await until('contractStatus', /^Withdrawn$/);
  assert.equal(await reader.getBalance({ address: contractAddress }), parseEther('3'));
});

await step('creates a token, and transfers and approves it', async () => {
  const abi = [
    { type: 'function', name: 'balanceOf', stateMutability: 'view', inputs: [{ type: 'address' }], outputs: [{ type: 'uint256' }] },
    { type: 'function', name: 'allowance', stateMutability: 'view', inputs: [{ type: 'address' }, { type: 'address' }], outputs: [{ type: 'uint256' }] },
  ];
  const decimals = BigInt(await page.locator('#tokenDecimals').inputValue());
  await click('createToken');
  await until('erc20TokenAddresses', /0x[0-9a-fA-F]{40}/);
  const address = (await text('erc20TokenAddresses')).split(', ').pop();
  const read = (functionName, args) => reader.readContract({ address, abi, functionName, args });
  let before = await nonce();
  await click('transferTokens');
  await sentSince(before);
  const unit = 10n ** decimals;
  assert.equal(await read('balanceOf', ['0x2f318C334780961FB129D2a6c30D0763d9a5C970']), (unit * 3n) / 2n);
  const spender = await page.locator('#approveTokensToInput, #approveTo').first().inputValue();
  before = await nonce();
  await click('approveTokens');
  await sentSince(before);
  assert.equal(await read('allowance', [me, spender]), unit * 7n);
});

await step('signs a message, and the dapp recovers the signer', async () => {
  await click('personalSign');
  await until('personalSignResult', /^0x[0-9a-f]{130}$/);
  const signature = await text('personalSignResult');
  assert.ok(await verifyMessage({ address: me, message: 'Example `personal_sign` message', signature }));
  await click('personalSignVerify');
  await until('personalSignVerifyECRecoverResult', /^0x/);
  assert.equal((await text('personalSignVerifySigUtilResult')).toLowerCase(), me.toLowerCase());
});

for (const version of ['V3', 'V4']) {
  await step(`signs typed data ${version}, and the dapp recovers the signer`, async () => {
    await click(`signTypedData${version}`);
    await until(`signTypedData${version}Result`, /^0x[0-9a-f]{130}$/);
    await click(`signTypedData${version}Verify`);
    await until(`signTypedData${version}VerifyResult`, /^0x/);
    assert.equal((await text(`signTypedData${version}VerifyResult`)).toLowerCase(), me.toLowerCase());
  });
}

await step('signs a permit whose digest the signer signed', async () => {
  await click('signPermit');
  await until('signPermitResult', /^0x[0-9a-f]{130}$/);
  await click('signPermitVerify');
  await until('signPermitVerifyResult', /^0x/);
  assert.equal((await text('signPermitVerifyResult')).toLowerCase(), me.toLowerCase());
});

await step('sends a batch of calls (EIP-5792)', async () => {
  await enabled('eip5792SendCallsButton');
  const before = await nonce();
  await click('eip5792SendCallsButton');
  await until('eip5792RequestIdInput', /.*/);
  await page.waitForFunction(() => document.getElementById('eip5792RequestIdInput')?.value.startsWith('0x'));
  assert.ok((await nonce()) >= before + 2, 'two calls');
  await click('eip5792GetCallsStatusButton');
  await until('eip5792GetCallsStatusResult', /"status": 200/);
  const status = JSON.parse(await text('eip5792GetCallsStatusResult'));
  assert.equal(status.receipts.length, (await nonce()) - before);
});

await step('switches to another chain and sends there', async () => {
  await click('switchEthereumChain');
  await until('chainId', /^0x53a$/);
  const there = createPublicClient({ transport: http(other), pollingInterval: 20, cacheTime: 0 });
  await until('accounts', /0x/);
  await enabled('sendButton');
  await click('sendButton');
  for (let tries = 0; (await there.getBlockNumber()) < 1n; tries += 1) {
    assert.ok(tries < 300, 'no block within 30 s');
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  const { transactions } = await there.getBlock({ includeTransactions: true });
  assert.deepEqual(transactions.map(tx => [tx.chainId, tx.nonce]), [[1338, 0]]);
});

await browser.close();
site.close();
if (complaints.length > 0) console.log(`the page complained: ${complaints.join('; ')}`);
finish();
