// Proofs verified from a block's hash, by docs/examples/verify-proof.mjs and nothing of the node's.
import { keccak256, parseEther } from 'viem';
import { accounts, assert, finish, mined, reader, step, url, wallets } from './kit.mjs';
import { call, hashes, stateRoot, verifyAnswer } from './verify-proof.mjs';

const hash = hashes[process.argv[3] ?? 'blake3'];
const [account] = accounts;
const [wallet] = wallets;
const ABSENT = '0x00000000000000000000000000000000deadbeef';
// Stores 7 in slot 5 and 9 in slot 2^192, and leaves one zero byte of code.
const INIT = `0x6007600555600978${'01' + '00'.repeat(24)}555f5f5360015ff3`;
let contract, block;

async function root(number) {
  const { hash } = await reader.getBlock({ blockNumber: number });
  return { hash, root: stateRoot(await call(url, 'debug_getRawHeader', hash), hash) };
}

const ask = (address, slots, at) => call(url, 'eth_getProof', address, slots.map((slot) => `0x${slot.toString(16)}`), at);

await step('a contract with slots is there', async () => {
  const receipt = await mined(wallet.sendTransaction({ data: INIT }));
  contract = receipt.contractAddress;
  block = receipt.blockNumber;
});

await step('an account and its slots are proven from the block hash', async () => {
  const { hash: at, root: from } = await root(block);
  const slots = [5n, 1n << 192n, 6n, (1n << 256n) - 1n];
  const proven = verifyAnswer(hash, from, contract, slots, await ask(contract, slots, at));
  assert.deepEqual(proven.values, [7n, 9n, 0n, 0n]);
  assert.deepEqual([proven.exists, proven.nonce, proven.codeHash], [true, 1n, keccak256('0x00')]);
  const sender = verifyAnswer(hash, from, account.address, [], await ask(account.address, [], at));
  assert.equal(sender.nonce, 1n);
});

await step('absence is proven', async () => {
  const { hash: at, root: from } = await root(block);
  const proven = verifyAnswer(hash, from, ABSENT, [0n], await ask(ABSENT, [0n], at));
  assert.deepEqual([proven.exists, proven.balance, proven.values[0]], [false, 0n, 0n]);
});

await step('older blocks are proven as they were', async () => {
  const { hash: genesis, root: from } = await root(0n);
  const before = verifyAnswer(hash, from, contract, [5n], await ask(contract, [5n], genesis));
  assert.deepEqual([before.exists, before.values[0]], [false, 0n]);
  await mined(wallet.sendTransaction({ to: ABSENT, value: parseEther('1') }));
  const { hash: head, root: newest } = await root(block + 1n);
  const now = verifyAnswer(hash, newest, ABSENT, [], await ask(ABSENT, [], head));
  assert.equal(now.balance, parseEther('1'));
  const { hash: old, root: older } = await root(block);
  assert.equal(verifyAnswer(hash, older, ABSENT, [], await ask(ABSENT, [], old)).exists, false);
});

await step('viem parses the answer', async () => {
  const proof = await reader.getProof({ address: contract, storageKeys: [`0x${'00'.repeat(31)}05`], blockNumber: block });
  assert.equal(proof.storageProof[0].value, 7n);
  assert.equal(proof.storageProof[0].key, `0x${'00'.repeat(31)}05`);
  assert.equal(proof.nonce, 1);
});

await step('many accounts at once', async () => {
  const { hash: at, root: from } = await root(block);
  const answers = await call(url, 'eth_getMultiProof', [[contract, ['0x5']], [ABSENT, []]], at);
  assert.equal(verifyAnswer(hash, from, contract, [5n], answers[0]).values[0], 7n);
  assert.equal(verifyAnswer(hash, from, ABSENT, [], answers[1]).exists, false);
});

await step('whatever is spoilt is refused', async () => {
  const { hash: at, root: from } = await root(block);
  const good = await ask(contract, [5n], at);
  const check = (change) => {
    const answer = structuredClone(good);
    change(answer);
    assert.throws(() => verifyAnswer(hash, from, contract, [5n], answer), undefined, String(change));
  };
  check((answer) => (answer.balance = '0x1'));
  check((answer) => (answer.nonce = '0x2'));
  check((answer) => (answer.storageProof[0].value = '0x8'));
  check((answer) => answer.storageProof[0].proof.pop());
  check((answer) => answer.accountProof.push(answer.accountProof[0]));
  good.accountProof.forEach((node, i) => {
    for (let digit = 2; digit < node.length; digit += 7) {
      const other = (parseInt(node[digit], 16) ^ 1).toString(16);
      check((answer) => (answer.accountProof[i] = node.slice(0, digit) + other + node.slice(digit + 1)));
    }
  });
  const header = await call(url, 'debug_getRawHeader', at);
  const other = (await root(0n)).hash;
  assert.throws(() => stateRoot(header, other));
});

finish();
