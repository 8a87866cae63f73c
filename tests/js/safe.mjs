// Safe 1.4.1: a proxy through the factory, then transfers and a batch with two owners' signatures.
import { concat, encodeFunctionData, encodePacked, getAddress, parseEther, parseEventLogs, size, zeroAddress } from 'viem';
import { accounts, artifact, assert, at, deploy, finish, mined, reader, step, wallets } from './kit.mjs';

const contract = (folder, name) => artifact(`@safe-global/safe-contracts/build/artifacts/contracts/${folder}${name}.sol/${name}.json`);
const [owner, second, stranger] = accounts;
let singleton, factory, safe, token;

/** The owners' signatures over a transaction of the safe, in the order of their addresses. */
async function sign(signers, to, value, data, operation, nonce) {
  const hash = await safe.read('getTransactionHash', to, value, data, operation, 0n, 0n, 0n, zeroAddress, zeroAddress, nonce);
  const sorted = [...signers].sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
  return concat(await Promise.all(sorted.map(account => account.sign({ hash }))));
}

async function execute(signers, to, value, data, operation = 0) {
  const signatures = await sign(signers, to, value, data, operation, await safe.read('nonce'));
  return safe.write('execTransaction', [to, value, data, operation, 0n, 0n, 0n, zeroAddress, zeroAddress, signatures]);
}

await step('the factory creates a safe with two owners', async () => {
  singleton = await deploy(contract('', 'Safe'));
  factory = await deploy(contract('proxies/', 'SafeProxyFactory'));
  const setup = encodeFunctionData({
    abi: singleton.abi,
    functionName: 'setup',
    args: [[owner.address, second.address], 2n, zeroAddress, '0x', zeroAddress, zeroAddress, 0n, zeroAddress],
  });
  const receipt = await factory.write('createProxyWithNonce', [singleton.address, setup, 7n]);
  const [created] = parseEventLogs({ abi: factory.abi, logs: receipt.logs, eventName: 'ProxyCreation' });
  safe = at(getAddress(created.args.proxy), singleton.abi);
  assert.deepEqual(await safe.read('getOwners'), [owner.address, second.address]);
  assert.equal(await safe.read('getThreshold'), 2n);
});

await step('it pays ether with both signatures', async () => {
  await mined(wallets[0].sendTransaction({ to: safe.address, value: parseEther('5') }));
  const to = '0x00000000000000000000000000000000000000aa';
  const receipt = await execute([owner, second], to, parseEther('2'), '0x');
  assert.equal(parseEventLogs({ abi: safe.abi, logs: receipt.logs, eventName: 'ExecutionSuccess' }).length, 1);
  assert.equal(await reader.getBalance({ address: to }), parseEther('2'));
  assert.equal(await reader.getBalance({ address: safe.address }), parseEther('3'));
  assert.equal(await safe.read('nonce'), 1n);
});

await step('it refuses a stranger and a missing signature', async () => {
  await assert.rejects(execute([owner, stranger], stranger.address, 1n, '0x'), /GS026/);
  await assert.rejects(execute([owner], stranger.address, 1n, '0x'), /GS020/);
  assert.equal(await safe.read('nonce'), 1n);
});

await step('it sends two token transfers in one batch', async () => {
  token = await deploy(artifact('@uniswap/v2-periphery/build/ERC20.json'), [parseEther('100')]);
  const batch = await deploy(contract('libraries/', 'MultiSendCallOnly'));
  await token.write('transfer', [safe.address, parseEther('10')]);
  const calls = [1n, 2n].map(amount => {
    const data = encodeFunctionData({ abi: token.abi, functionName: 'transfer', args: [stranger.address, amount] });
    return encodePacked(['uint8', 'address', 'uint256', 'uint256', 'bytes'], [0, token.address, 0n, BigInt(size(data)), data]);
  });
  const data = encodeFunctionData({ abi: batch.abi, functionName: 'multiSend', args: [concat(calls)] });
  await execute([owner, second], batch.address, 0n, data, 1);
  assert.equal(await token.read('balanceOf', stranger.address), 3n);
});

await step('it changes its own threshold', async () => {
  const data = encodeFunctionData({ abi: safe.abi, functionName: 'changeThreshold', args: [1n] });
  await execute([owner, second], safe.address, 0n, data);
  await execute([second], stranger.address, 1n, '0x');
  assert.equal(await safe.read('nonce'), 4n);
});

finish();
