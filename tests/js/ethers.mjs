// ethers 6: its provider over HTTP and WebSocket, unlocked and own signers, events and errors.
import { Contract, ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider, id, parseEther } from 'ethers';
import { artifact, assert, finish, step, url } from './kit.mjs';
import { evm, image, riscv, token as supplied, ways } from './machines.mjs';

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

/** Deploys a contract of the repository in one of the ways. */
async function deploy(way, name, args = []) {
  const { abi: interfaces, bytecode: code } = way === 'EVM' ? evm(name) : riscv(name);
  const factory = new ContractFactory(interfaces, code, signer);
  if (way !== 'rv_deploy') return (await factory.deploy(...args)).waitForDeployment();
  const request = { image: image(name), args: factory.interface.encodeDeploy(args), from: signer.address };
  const { transactionHash, address } = await provider.send('rv_deploy', [request]);
  const receipt = await provider.waitForTransaction(transactionHash);
  assert.deepEqual([receipt.status, receipt.contractAddress.toLowerCase()], [1, address.toLowerCase()]);
  return new Contract(address, interfaces, signer);
}

for (const way of ways) {
  await step(`a token of the repository moves, tells and refuses: ${way}`, async () => {
    const friend = (await provider.getSigner(1)).address;
    const coin = await deploy(way, 'Token', [...supplied, signer.address]);
    const at = await coin.getAddress();
    assert.equal((await provider.getCode(at)).startsWith('0xef525601'), way !== 'EVM');
    assert.deepEqual([await coin.symbol(), await coin.totalSupply()], ['TDM', 1_000_000n]);
    const receipt = await (await coin.transfer(friend, 300n)).wait();
    assert.deepEqual(receipt.logs.map(log => [log.eventName, ...log.args]), [['Transfer', signer.address, friend, 300n]]);
    const found = await coin.queryFilter(coin.filters.Transfer(null, friend));
    assert.deepEqual(found.map(log => log.args.value), [300n]);
    assert.deepEqual([await coin.balanceOf(signer), await coin.balanceOf(friend)], [999_700n, 300n]);
    const poor = coin.connect(await provider.getSigner(1)).transfer.staticCall(signer, 301n);
    await assert.rejects(poor, ({ code, revert }) => {
      assert.deepEqual([code, revert.name, ...revert.args], ['CALL_EXCEPTION', 'ERC20InsufficientBalance', friend, 300n, 301n]);
      return true;
    });
    // An EVM contract in between hands on what the token answers, its error too.
    const between = await deploy('EVM', 'PingPong');
    const data = coin.interface.encodeFunctionData('balanceOf', [friend]);
    assert.equal(BigInt(await between.staticCall.staticCallResult(at, data).then(([answer]) => answer)), 300n);
    const taken = between.call.staticCall(at, coin.interface.encodeFunctionData('transfer', [friend, 1n]));
    await assert.rejects(taken, error => coin.interface.parseError(error.data).name === 'ERC20InsufficientBalance');
  });
}

await step('contracts of both kinds call each other', async () => {
  const players = [await deploy('EVM', 'PingPong'), await deploy('RISC-V', 'PingPong')];
  const addresses = await Promise.all(players.map(player => player.getAddress()));
  const receipt = await (await players[0].play(addresses[1], 5n)).wait();
  const hits = receipt.logs.map(log => players[0].interface.parseLog(log));
  assert.deepEqual(hits.map(hit => [hit.name, hit.args.depth]), [5n, 4n, 3n, 2n, 1n, 0n].map(depth => ['Hit', depth]));
  assert.deepEqual(receipt.logs.map(log => addresses.indexOf(log.address)), [0, 1, 0, 1, 0, 1]);
  assert.equal(await players[1].lastCaller(), addresses[0]);
});

await live.destroy();
finish();
