// ethers 6: its provider over HTTP and WebSocket, unlocked and own signers, events and errors.
import { Contract, ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider, id, parseEther } from 'ethers';
import { artifact, assert, finish, step, url } from './kit.mjs';

const options = { cacheTimeout: -1, staticNetwork: true, pollingInterval: 50 };
const provider = new JsonRpcProvider(url, 31337, options);
const live = new WebSocketProvider(url.replace('http', 'ws'), 31337, options);
const { abi, bytecode } = artifact('@uniswap/v2-periphery/build/ERC20.json');
let token, signer;

await step('an unlocked account deploys', async () => {
  signer = await provider.getSigner(0);
  const factory = new ContractFactory(abi, bytecode, signer);
  token = await (await factory.deploy(1000n)).waitForDeployment();
  assert.equal(await token.totalSupply(), 1000n);
  assert.equal(await token.balanceOf(signer.address), 1000n);
});

await step('a wallet of its own signs and sends', async () => {
  const wallet = Wallet.createRandom(provider);
  await (await signer.sendTransaction({ to: wallet.address, value: parseEther('1') })).wait();
  await (await token.transfer(wallet.address, 10n)).wait();
  const receipt = await (await token.connect(wallet).transfer(signer.address, 4n)).wait();
  assert.equal(receipt.status, 1);
  assert.equal(await token.balanceOf(wallet.address), 6n);
  assert.equal(await provider.getTransactionCount(wallet.address), 1);
});

await step('a failed call says why', async () => {
  const failing = token.transfer.staticCall('0x00000000000000000000000000000000000000aa', 10n ** 9n);
  await assert.rejects(failing, error => error.code === 'CALL_EXCEPTION' && /sub-underflow|underflow/.test(error.message));
  const poor = Wallet.createRandom(provider);
  await assert.rejects(poor.sendTransaction({ to: signer.address, value: 1n }), { code: 'INSUFFICIENT_FUNDS' });
});

await step('events arrive over the WebSocket and are found again', async () => {
  const watched = new Contract(await token.getAddress(), abi, live);
  const seen = new Promise(resolve => watched.once('Transfer', (from, to, value) => resolve(value)));
  const block = new Promise(resolve => live.once('block', resolve));
  await live.getBlockNumber();
  await new Promise(resolve => setTimeout(resolve, 200));
  const receipt = await (await token.transfer('0x00000000000000000000000000000000000000ab', 7n)).wait();
  assert.equal(await seen, 7n);
  assert.equal(await block, receipt.blockNumber);
  const logs = await token.queryFilter(token.filters.Transfer(null, '0x00000000000000000000000000000000000000ab'));
  assert.deepEqual(logs.map(log => log.args.value), [7n]);
  assert.equal(logs[0].topics[0], id('Transfer(address,address,uint256)'));
});

await step('blocks and fees are understood', async () => {
  const block = await provider.getBlock('latest', true);
  assert.equal(block.prefetchedTransactions.length, 1);
  const fees = await provider.getFeeData();
  assert.ok(fees.maxFeePerGas >= block.baseFeePerGas);
  assert.equal((await provider.getNetwork()).chainId, 31337n);
});

await live.destroy();
finish();
