// viem as a wallet and a dApp use it: transactions of several types, reads, errors, logs, filters,
// subscriptions, and the dev methods of its test client.
import { createPublicClient, decodeErrorResult, encodeDeployData, encodeFunctionData, parseEther, parseEventLogs, parseGwei, toHex, webSocket } from 'viem';
import { accounts, artifact, assert, at, chain, deploy, finish, mined, reader, step, tester, url, wallets } from './kit.mjs';
import { evm, image, riscv, token, ways } from './machines.mjs';

const [me, friend, other] = accounts.map(account => account.address);
const weth = await deploy(artifact('canonical-weth/build/contracts/WETH9.json'));
const balanceOf = address => reader.getBalance({ address });

/** A promise and the function that keeps it; it fails after ten seconds. */
function expectation(what) {
  let keep;
  const promise = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${what} within 10 s`)), 10_000);
    keep = value => { clearTimeout(timer); resolve(value); };
  });
  return [promise, keep];
}

await step('the chain introduces itself', async () => {
  assert.equal(await reader.getChainId(), 31337);
  assert.deepEqual((await wallets[0].getAddresses()).slice(0, 1), [me]);
  const listed = await reader.request({ method: 'eth_accounts' });
  assert.equal(listed.length, 10);
  assert.equal(listed[1].toLowerCase(), friend.toLowerCase());
});

for (const [type, extra] of [
  ['legacy', { gasPrice: parseGwei('2') }],
  ['eip2930', { gasPrice: parseGwei('2'), accessList: [{ address: me, storageKeys: [toHex(1, { size: 32 })] }] }],
  ['eip1559', { maxFeePerGas: parseGwei('3'), maxPriorityFeePerGas: 5n }],
]) {
  await step(`a transaction of type ${type} is read back as sent`, async () => {
    const before = await balanceOf('0x00000000000000000000000000000000000000cc');
    const hash = await wallets[1].sendTransaction({ to: '0x00000000000000000000000000000000000000cc', value: 9n, type, ...extra });
    const receipt = await mined(hash);
    const tx = await reader.getTransaction({ hash });
    assert.equal(tx.type, type);
    assert.equal(receipt.type, type);
    assert.equal(tx.blockHash, receipt.blockHash);
    assert.equal(receipt.gasUsed, type === 'eip2930' ? 21000n + 2400n + 1900n : 21000n);
    assert.equal((await balanceOf('0x00000000000000000000000000000000000000cc')) - before, 9n);
    if (type === 'eip1559') assert.equal(tx.maxPriorityFeePerGas, 5n);
    if (type === 'eip2930') assert.equal(tx.accessList.length, 1);
  });
}

await step('a delegation (EIP-7702) makes an account run code', async () => {
  const authorization = await wallets[2].signAuthorization({ contractAddress: weth.address });
  await mined(wallets[3].sendTransaction({ to: other, authorizationList: [authorization], value: 0n }));
  assert.equal(await reader.getCode({ address: other }), `0xef0100${weth.address.slice(2).toLowerCase()}`);
  const name = await reader.readContract({ address: other, abi: weth.abi, functionName: 'totalSupply' });
  assert.equal(name, await balanceOf(other));
});

await step('calls, estimates and access lists agree', async () => {
  await weth.write('deposit', [], { value: 1000n });
  const data = encodeFunctionData({ abi: weth.abi, functionName: 'transfer', args: [friend, 1n] });
  const gas = await reader.estimateGas({ account: me, to: weth.address, data });
  const { accessList, gasUsed } = await reader.createAccessList({ account: me, to: weth.address, data });
  assert.equal(accessList.length, 1);
  assert.equal(accessList[0].storageKeys.length, 2);
  const hash = await wallets[0].sendTransaction({ to: weth.address, data, gas });
  const receipt = await mined(hash);
  assert.ok(receipt.gasUsed <= gas && gasUsed > 21000n, `${receipt.gasUsed} of ${gas}`);
});

await step('a transaction with too little gas fails and pays', async () => {
  const data = encodeFunctionData({ abi: weth.abi, functionName: 'transfer', args: [friend, 1n] });
  const hash = await wallets[0].sendTransaction({ to: weth.address, data, gas: 23_000n });
  const receipt = await reader.waitForTransactionReceipt({ hash });
  assert.equal(receipt.status, 'reverted');
  assert.equal(receipt.gasUsed, 23_000n);
});

await step('refusals have the words that viem knows', async () => {
  const poor = '0x00000000000000000000000000000000000000dd';
  await assert.rejects(reader.call({ account: poor, to: me, value: 1n }), /insufficient funds|exceeds the balance/i);
  const low = wallets[0].sendTransaction({ to: me, value: 0n, nonce: 0, gas: 21000n });
  await assert.rejects(low, error => error.walk(e => e.name === 'NonceTooLowError') !== null);
  const few = wallets[0].sendTransaction({ to: me, value: 0n, gas: 20000n });
  await assert.rejects(few, /intrinsic gas/i);
});

await step('overrides change a call and nothing else', async () => {
  const stateOverride = [{ address: friend, balance: parseEther('1000000') }];
  await reader.call({ account: friend, to: me, value: parseEther('900000'), stateOverride });
  assert.ok((await balanceOf(friend)) < parseEther('10000'));
});

await step('older blocks are read as they were', async () => {
  const before = await reader.getBlockNumber();
  const balance = await reader.getBalance({ address: me, blockNumber: before });
  await mined(wallets[0].sendTransaction({ to: friend, value: parseEther('1') }));
  assert.equal(await reader.getBalance({ address: me, blockNumber: before }), balance);
  assert.ok((await balanceOf(me)) < balance - parseEther('1') + 1n);
  const genesis = await reader.getBlock({ blockNumber: 0n });
  assert.equal(genesis.number, 0n);
  assert.equal((await reader.getBlock({ blockHash: genesis.hash })).hash, genesis.hash);
  assert.equal((await reader.getBlock({ blockTag: 'earliest' })).hash, genesis.hash);
  assert.equal((await reader.getBlock({ blockTag: 'safe' })).number <= before, true);
});

await step('logs are found by range, address and topic', async () => {
  const { blockNumber } = await weth.write('transfer', [other, 3n]);
  const event = weth.abi.find(item => item.type === 'event' && item.name === 'Transfer');
  const range = { address: weth.address, fromBlock: 0n, toBlock: blockNumber };
  const found = await reader.getLogs({ ...range, event, args: { dst: other } });
  assert.deepEqual(found.map(log => log.args.wad), [3n]);
  assert.equal((await reader.getLogs({ ...range, event, args: { dst: me } })).length, 0);
  const all = await reader.getLogs(range);
  assert.deepEqual(all.map(log => log.eventName ?? log.topics.length), [2, 3, 3]);
});

await step('a filter gives what is new since it was asked', async () => {
  const filter = await reader.createContractEventFilter({ address: weth.address, abi: weth.abi, eventName: 'Transfer' });
  const blocks = await reader.createBlockFilter();
  const { blockHash } = await weth.write('transfer', [other, 4n]);
  assert.deepEqual((await reader.getFilterChanges({ filter })).map(log => log.args.wad), [4n]);
  assert.deepEqual(await reader.getFilterChanges({ filter }), []);
  assert.deepEqual(await reader.getFilterChanges({ filter: blocks }), [blockHash]);
  assert.equal(await reader.uninstallFilter({ filter }), true);
});

await step('subscriptions push heads, logs and waiting transactions', async () => {
  const transport = webSocket(url.replace('http', 'ws'), { reconnect: false });
  const live = createPublicClient({ chain, transport });
  const [head, onHead] = expectation('head');
  const [log, onLog] = expectation('log');
  const [pending, onPending] = expectation('waiting transaction');
  live.watchBlocks({ onBlock: onHead });
  live.watchContractEvent({ address: weth.address, abi: weth.abi, eventName: 'Transfer', onLogs: onLog });
  live.watchPendingTransactions({ onTransactions: onPending });
  // An answer over the same socket comes after those to the subscriptions.
  await live.getChainId();
  await new Promise(resolve => setTimeout(resolve, 200));
  const receipt = await weth.write('transfer', [other, 5n]);
  assert.equal((await head).hash, receipt.blockHash);
  assert.equal((await log)[0].args.wad, 5n);
  assert.deepEqual(await pending, [receipt.transactionHash]);
  (await live.transport.getRpcClient()).close();
});

await step('a savepoint undoes blocks and state', async () => {
  const before = await reader.getBlockNumber();
  const balance = await balanceOf(other);
  const id = await tester.snapshot();
  await tester.setBalance({ address: other, value: 77n });
  await mined(wallets[0].sendTransaction({ to: other, value: 1n }));
  assert.equal(await balanceOf(other), 78n);
  await tester.revert({ id });
  assert.equal(await reader.getBlockNumber(), before);
  assert.equal(await balanceOf(other), balance);
});

await step('the dev methods change state, time and sender', async () => {
  const ghost = '0x00000000000000000000000000000000000000ee';
  await tester.setBalance({ address: ghost, value: parseEther('2') });
  await tester.impersonateAccount({ address: ghost });
  const hash = await tester.request({ method: 'eth_sendTransaction', params: [{ from: ghost, to: me, value: toHex(5n) }] });
  assert.equal((await mined(hash)).from.toLowerCase(), ghost);
  await tester.stopImpersonatingAccount({ address: ghost });
  await assert.rejects(tester.request({ method: 'eth_sendTransaction', params: [{ from: ghost, to: me }] }));
  await tester.setStorageAt({ address: weth.address, index: toHex(9n, { size: 32 }), value: toHex(8n, { size: 32 }) });
  assert.equal(await reader.getStorageAt({ address: weth.address, slot: toHex(9n) }), toHex(8n, { size: 32 }));
  await tester.setNonce({ address: ghost, nonce: 40 });
  assert.equal(await reader.getTransactionCount({ address: ghost }), 40);
  const { timestamp } = await reader.getBlock();
  await tester.setNextBlockTimestamp({ timestamp: timestamp + 1000n });
  await tester.mine({ blocks: 1 });
  assert.equal((await reader.getBlock()).timestamp, timestamp + 1000n);
});

await step('manual sealing holds a transaction until it is asked for', async () => {
  await tester.setAutomine(false);
  const hash = await wallets[0].sendTransaction({ to: friend, value: 1n });
  assert.equal((await reader.getTransaction({ hash })).blockNumber, null);
  const count = blockTag => reader.getTransactionCount({ address: me, blockTag });
  assert.equal((await count('pending')) - (await count('latest')), 1);
  await tester.mine({ blocks: 1 });
  assert.equal((await reader.getTransactionReceipt({ hash })).status, 'success');
  await tester.setAutomine(true);
});

/** Deploys the repository's token in one of the ways; the first account owns it. */
async function deployToken(way) {
  const args = [...token, me];
  if (way !== 'rv_deploy') return deploy(way === 'EVM' ? evm('Token') : riscv('Token'), args);
  const { abi } = evm('Token');
  const request = { image: image('Token'), args: encodeDeployData({ abi, bytecode: '0x', args }), from: me };
  const { transactionHash, address } = await reader.request({ method: 'rv_deploy', params: [request] });
  assert.equal((await mined(transactionHash)).contractAddress, address.toLowerCase());
  return at(address, abi);
}

for (const way of ways) {
  await step(`a token of the repository moves, tells and refuses: ${way}`, async () => {
    const { address, abi, read, write } = await deployToken(way);
    assert.equal((await reader.getCode({ address })).startsWith('0xef525601'), way !== 'EVM');
    assert.deepEqual([await read('name'), await read('decimals')], ['Tandem Token', 18]);
    const receipt = await write('transfer', [friend, 300n]);
    const [moved] = parseEventLogs({ abi, logs: receipt.logs });
    assert.deepEqual([moved.eventName, moved.args], ['Transfer', { from: me, to: friend, value: 300n }]);
    const found = await reader.getContractEvents({ address, abi, eventName: 'Transfer', args: { to: friend }, fromBlock: 0n });
    assert.deepEqual(found.map(log => log.args.value), [300n]);
    assert.deepEqual([await read('balanceOf', me), await read('balanceOf', friend)], [999_700n, 300n]);
    const refused = reader.simulateContract({ address, abi, functionName: 'transfer', args: [me, 301n], account: friend });
    await assert.rejects(refused, error => {
      const { errorName, args } = error.walk(cause => cause.name === 'ContractFunctionRevertedError').data;
      assert.deepEqual([errorName, args], ['ERC20InsufficientBalance', [friend, 300n, 301n]]);
      return true;
    });
    // An EVM contract in between hands on what the token answers, its error too.
    const between = await deploy(evm('PingPong'));
    const ask = (functionName, args) => between.read('staticCall', address, encodeFunctionData({ abi, functionName, args }));
    assert.equal(BigInt(await ask('balanceOf', [friend])), 300n);
    await between.write('call', [address, encodeFunctionData({ abi, functionName: 'approve', args: [other, 7n] })]);
    assert.equal(await read('allowance', between.address, other), 7n);
    await assert.rejects(ask('transfer', [me, 1n]), error => {
      const { raw } = error.walk(cause => cause.name === 'ContractFunctionRevertedError');
      // A static call lets nobody write, but the balance is looked at before that.
      assert.equal(decodeErrorResult({ abi, data: raw }).errorName, 'ERC20InsufficientBalance');
      return true;
    });
  });
}

await step('contracts of both kinds call and create each other', async () => {
  const players = [await deploy(evm('PingPong')), await deploy(riscv('PingPong'))];
  const [first, second] = players;
  const { logs } = await first.write('play', [second.address, 5n]);
  const hits = parseEventLogs({ abi: first.abi, logs, eventName: 'Hit' });
  assert.deepEqual(hits.map(hit => hit.args.depth), [5n, 4n, 3n, 2n, 1n, 0n]);
  assert.deepEqual(hits.map(hit => hit.address), [0, 1, 0, 1, 0, 1].map(kind => players[kind].address.toLowerCase()));
  assert.equal(await second.read('lastCaller'), first.address);
  const factory = await deploy(evm('Factory'));
  await factory.write('create', [riscv('PingPong').bytecode]);
  const child = at(await factory.read('children', 0n), first.abi);
  await child.write('play', [first.address, 0n]);
  assert.deepEqual([await child.read('hits'), await first.read('hits')], [1n, 3n]);
});

finish();
