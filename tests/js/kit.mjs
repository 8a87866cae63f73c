// What every script shares: the node's URL, its accounts, artifacts from npm packages, and steps
// that are counted. A script is `node SCRIPT.mjs URL`; its last line is "N passed, N failed".
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createPublicClient, createTestClient, createWalletClient, decodeErrorResult, defineChain, encodeDeployData, getAddress, http } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';

const require = createRequire(import.meta.url);
export { assert };
export const url = process.argv[2];
if (!url) throw new Error('usage: node SCRIPT.mjs URL');

export const chain = defineChain({
  id: 31337,
  name: 'Tandem',
  nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [url] } },
  contracts: { multicall3: { address: '0xcA11bde05977b3631167028862bE2a173976CA11' } },
});

const mnemonic = 'test test test test test test test test test test test junk';
export const accounts = [0, 1, 2, 3, 4].map(addressIndex => mnemonicToAccount(mnemonic, { addressIndex }));
export const reader = createPublicClient({ chain, transport: http(url), pollingInterval: 20, cacheTime: 0 });
export const wallets = accounts.map(account => createWalletClient({ account, chain, transport: http(url) }));
export const tester = createTestClient({ mode: 'anvil', chain, transport: http(url) });

/** An artifact's ABI and creation code, by package and file. */
export function artifact(path) {
  const json = JSON.parse(readFileSync(require.resolve(path), 'utf8'));
  const code = json.bytecode?.object ?? json.evm?.bytecode?.object ?? json.bytecode;
  return { abi: json.abi, bytecode: code.startsWith('0x') ? code : `0x${code}` };
}

export const machines = ['evm', 'riscv'];
/** Every pair of machines: who calls and who is called, or proxy and implementation. */
export const pairs = machines.flatMap(first => machines.map(second => [first, second]));
const images = new URL('./images/', import.meta.url);

/** A contract of this repository for one of the machines. */
export function ours(name, machine) {
  const file = name === 'Token' ? 'erc20' : name.toLowerCase();
  if (machine === 'evm') return artifact(new URL(`${name}.json`, images).pathname);
  const image = readFileSync(new URL(`${file}.elf`, images));
  const abi = JSON.parse(readFileSync(new URL(`${file}.abi.json`, images), 'utf8'));
  return { abi, bytecode: `0xef525601${image.length.toString(16).padStart(8, '0')}${image.toString('hex')}` };
}

/** Whether an image is there: those with other people's crates in them are not kept. */
export function isBuilt(file) {
  const built = existsSync(new URL(`${file}.elf`, images));
  if (!built && /^(true|1)$/.test(process.env.CI ?? '')) throw new Error(`CI=true needs ${file}.elf: cargo xtask contracts`);
  if (!built) console.log(`left out: ${file} for RISC-V (cargo xtask contracts builds it)`);
  return built;
}

/** Sends a transaction, waits for its receipt and demands success. */
export async function mined(hash) {
  const receipt = await reader.waitForTransactionReceipt({ hash: await hash });
  assert.equal(receipt.status, 'success', `transaction ${receipt.transactionHash} failed`);
  return receipt;
}

/** Deploys from the first account; what comes back reads and writes by name. */
export async function deploy({ abi, bytecode }, args = [], wallet = wallets[0]) {
  const receipt = await mined(wallet.deployContract({ abi, bytecode, args }));
  assert.notEqual(await reader.getCode({ address: receipt.contractAddress }), undefined);
  return at(getAddress(receipt.contractAddress), abi);
}

/** Demands that a deployment is refused with the contract's error of this name. */
export async function refused({ abi, bytecode }, args, errorName, value = 0n) {
  const data = encodeDeployData({ abi, bytecode, args });
  const error = await reader.call({ account: accounts[0], data, value }).then(() => undefined, error => error);
  const raw = error?.walk(inner => typeof inner.data === 'string' || inner.data?.data)?.data;
  assert.notEqual(raw, undefined, `the deployment was to be refused with ${errorName}: ${error}`);
  assert.equal(decodeErrorResult({ abi, data: raw.data ?? raw }).errorName, errorName);
}

/** A contract that is there already. */
export function at(address, abi) {
  return {
    address,
    abi,
    read: (functionName, ...args) => reader.readContract({ address, abi, functionName, args }),
    write: (functionName, args = [], options = {}) => {
      const { from = 0, ...rest } = options;
      return mined(wallets[from].writeContract({ address, abi, functionName, args, ...rest }));
    },
  };
}

let passed = 0;
let failed = 0;

/** One step of a script: what it is called, and what has to hold. */
export async function step(name, check) {
  try {
    await check();
    passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.stack ?? error}`);
  }
}

/** The script's last line. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
