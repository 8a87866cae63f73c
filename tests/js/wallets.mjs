// Smart accounts over both machines: ERC-4337 through the real entry point, EIP-7702 delegation,
// ERC-1271 signatures that Permit2 asks for, tokens of either kind.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { concat, decodeErrorResult, encodeDeployData, encodeFunctionData, getContractAddress, hashMessage, keccak256, maxUint256, pad, parseEther, parseEventLogs, toHex, zeroAddress } from 'viem';
import { accounts, artifact, assert, at, chain, deploy, finish, machines, mined, ours, pairs, reader, step, wallets } from './kit.mjs';

const require = createRequire(import.meta.url);
const [me, owner, bundler, stranger, delegating] = accounts;
const target = '0x00000000000000000000000000000000000000dd';
const two = (high, low) => concat([pad(toHex(high), { size: 16 }), pad(toHex(low), { size: 16 })]);
const { abi } = ours('Account', 'riscv');
const call = (functionName, ...args) => encodeFunctionData({ abi, functionName, args });
const balance = address => reader.getBalance({ address });
const entryPoint = await deploy(artifact('@account-abstraction/contracts/artifacts/EntryPoint.json'));

async function operation(sender, signer, fields) {
  const op = {
    sender,
    nonce: await entryPoint.read('getNonce', sender, 0n),
    initCode: '0x',
    accountGasLimits: two(5_000_000n, 300_000n),
    preVerificationGas: 60_000n,
    gasFees: two(1n, 10n ** 9n),
    paymasterAndData: '0x',
    signature: '0x',
    ...fields,
  };
  op.signature = await signer.sign({ hash: await entryPoint.read('getUserOpHash', op) });
  return op;
}

const handle = async (...ops) => {
  const { logs } = await entryPoint.write('handleOps', [ops, bundler.address], { gas: 12_000_000n });
  return parseEventLogs({ abi: entryPoint.abi, logs });
};
/** Demands that the entry point refuses an operation, with this code of its own. */
const refusedWith = (code, op) => assert.rejects(
  reader.simulateContract({ ...entryPoint, functionName: 'handleOps', args: [[op], bundler.address], account: me, gas: 12_000_000n }),
  error => error.walk(inner => inner.data?.errorName === 'FailedOp')?.data.args[1].startsWith(code) ?? false,
);
const ended = events => events.filter(event => event.eventName === 'UserOperationEvent').map(event => event.args);

for (const [maker, made] of pairs) {
  await step(`the entry point has a ${maker} factory create a ${made} account, and runs its operations`, async () => {
    const factory = await deploy(ours('Factory', maker));
    const code = encodeDeployData({ ...ours('Account', made), args: [entryPoint.address, owner.address] });
    const salt = keccak256(toHex(made));
    const address = getContractAddress({ opcode: 'CREATE2', from: factory.address, bytecode: code, salt });
    const account = at(address, abi);
    await mined(wallets[0].sendTransaction({ to: address, value: parseEther('1') }));
    const create = encodeFunctionData({ abi: factory.abi, functionName: 'create2', args: [code, salt] });
    const before = await balance(target);
    const first = await operation(address, owner, { initCode: concat([factory.address, create]), callData: call('execute', target, 123n, '0x') });
    const events = await handle(first);
    assert.ok(events.some(event => event.eventName === 'AccountDeployed' && event.args.sender === address));
    assert.deepEqual(ended(events).map(({ sender, success }) => [sender, success]), [[address, true]]);
    assert.deepEqual([await balance(target) - before, await account.read('owner')], [123n, owner.address]);
    // What was not spent of the prefund is the account's deposit.
    const spent = ended(events)[0].actualGasCost;
    assert.equal(await entryPoint.read('balanceOf', address) + await balance(address), parseEther('1') - 123n - spent);

    // A batch; the wrong key; a nonce twice; a call that fails, with its reason.
    const trouble = await deploy(ours('Trouble', made === 'evm' ? 'riscv' : 'evm'));
    const mark = encodeFunctionData({ abi: trouble.abi, functionName: 'setMark', args: [9n] });
    const steps = [{ target, value: 1n, data: '0x' }, { target: trouble.address, value: 0n, data: mark }];
    const second = await operation(address, owner, { callData: call('executeBatch', steps) });
    assert.equal(ended(await handle(second))[0].success, true);
    assert.equal(await trouble.read('mark'), 9n);
    await refusedWith('AA25', second);
    const forged = await operation(address, stranger, { callData: call('execute', target, 1n, '0x') });
    await refusedWith('AA24', forged);
    const refuse = encodeFunctionData({ abi: trouble.abi, functionName: 'fail', args: [4, 77n, 'no'] });
    const failing = await handle(await operation(address, owner, { callData: call('execute', trouble.address, 0n, refuse) }));
    assert.equal(ended(failing)[0].success, false);
    const { revertReason } = failing.find(event => event.eventName === 'UserOperationRevertReason').args;
    const reason = decodeErrorResult({ abi: trouble.abi, data: revertReason });
    assert.deepEqual([reason.errorName, reason.args], ['Refused', [77n, 'no']]);
    // Two operations in one bundle, and the account by itself.
    const again = await operation(address, owner, { callData: call('execute', target, 2n, '0x') });
    const other = await operation(address, owner, { nonce: 7n << 64n, callData: call('execute', target, 3n, '0x') });
    assert.deepEqual(ended(await handle(again, other)).map(({ success }) => success), [true, true]);
    await account.write('execute', [target, 4n, '0x'], { from: 1 });
    await assert.rejects(account.write('execute', [target, 4n, '0x'], { from: 3 }), /OnlyOwner/);
    await assert.rejects(account.write('validateUserOp', [again, salt, 0n], { from: 1 }), /OnlyEntryPoint/);
    assert.equal(await balance(target) - before, 123n + 1n + 2n + 3n + 4n);
  });
}

/** Has an account delegate to `contractAddress`; the transaction is another one's. */
async function delegate(contractAddress) {
  const client = wallets[4];
  const authorization = await client.signAuthorization({ account: delegating, contractAddress });
  await mined(wallets[0].sendTransaction({ to: target, authorizationList: [authorization] }));
}

for (const [first, second] of pairs) {
  await step(`an ordinary account delegates to a ${first}, then to a ${second} contract (EIP-7702)`, async () => {
    const implementations = [];
    for (const machine of [first, second]) implementations.push(await deploy(ours('Account', machine), [entryPoint.address, zeroAddress]));
    const account = at(delegating.address, abi);
    for (const [index, implementation] of implementations.entries()) {
      await delegate(implementation.address);
      const code = await reader.getCode({ address: account.address });
      assert.equal(code, concat(['0xef0100', implementation.address]).toLowerCase());
      assert.deepEqual([await account.read('owner'), await account.read('entryPoint')], [delegating.address, entryPoint.address]);
      const before = await balance(target);
      // From itself, in a batch; not for others.
      const steps = [{ target, value: 5n, data: '0x' }, { target, value: 6n, data: '0x' }];
      await account.write('executeBatch', [steps], { from: 4 });
      await assert.rejects(account.write('executeBatch', [steps], { from: 3 }), /OnlyOwner/);
      // Through the entry point, signed by its own key, and with the storage that it keeps.
      await entryPoint.write('depositTo', [account.address], { value: parseEther('0.1') });
      const events = await handle(await operation(account.address, delegating, { callData: call('execute', target, 7n, '0x') }));
      assert.equal(ended(events)[0].success, true);
      assert.equal(await balance(target) - before, 18n);
      assert.equal(await reader.getStorageAt({ address: account.address, slot: '0x0' }), pad('0x0', { size: 32 }));
      // It signs, takes wei by itself and tokens of either kind.
      const hash = hashMessage('hello');
      assert.equal(await account.read('isValidSignature', hash, await delegating.sign({ hash })), '0x1626ba7e');
      assert.equal(await account.read('isValidSignature', hash, await me.sign({ hash })), '0xffffffff');
      for (const machine of machines) {
        const nft = await deploy(ours('Collection', machine), ['N', 'N', '']);
        await nft.write('mint', [me.address]);
        await nft.write('safeTransferFrom', [me.address, account.address, 1n]);
        assert.equal(await nft.read('ownerOf', 1n), delegating.address, `${index}: ${machine}`);
      }
    }
    await delegate(zeroAddress);
    assert.equal(await reader.getCode({ address: account.address }), undefined);
  });
}

const permitTypes = {
  PermitTransferFrom: [
    { name: 'permitted', type: 'TokenPermissions' },
    { name: 'spender', type: 'address' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
  TokenPermissions: [{ name: 'token', type: 'address' }, { name: 'amount', type: 'uint256' }],
};

/** What hardhat-predeploy has for Permit2: its creation code and ABI. */
async function permit2() {
  const read = kind => readFileSync(require.resolve(`hardhat-predeploy/bin/0x000000000022D473030F116dDEE9F6B43aC78BA3.${kind}`));
  const abi = JSON.parse(read('abi')).filter(item => item.name !== 'permitTransferFrom' || item.inputs[1].type === 'tuple');
  return deploy({ abi, bytecode: `0x${read('bytecode').toString('hex')}` });
}

for (const [holder, token] of pairs) {
  await step(`Permit2 asks a ${holder} account for its signature (ERC-1271) and moves a ${token} token`, async () => {
    const permits = await permit2();
    const account = await deploy(ours('Account', holder), [entryPoint.address, owner.address]);
    const coin = await deploy(ours('Token', token), ['Coin', 'C', 1000n, account.address]);
    const approve = encodeFunctionData({ abi: coin.abi, functionName: 'approve', args: [permits.address, maxUint256] });
    await account.write('execute', [coin.address, 0n, approve], { from: 1 });
    const permitted = { token: coin.address, amount: 50n };
    const sign = (signer, nonce) => signer.signTypedData({
      domain: { name: 'Permit2', chainId: chain.id, verifyingContract: permits.address },
      types: permitTypes,
      primaryType: 'PermitTransferFrom',
      message: { permitted, spender: me.address, nonce, deadline: maxUint256 },
    });
    const args = (nonce, signature) => [{ permitted, nonce, deadline: maxUint256 }, { to: target, requestedAmount: 20n }, account.address, signature];
    const before = await coin.read('balanceOf', target);
    await permits.write('permitTransferFrom', args(0n, await sign(owner, 0n)));
    assert.equal(await coin.read('balanceOf', target) - before, 20n);
    await assert.rejects(permits.write('permitTransferFrom', args(0n, await sign(owner, 0n))), /InvalidNonce/);
    await assert.rejects(permits.write('permitTransferFrom', args(1n, await sign(stranger, 1n))), /InvalidContractSignature/);
    await assert.rejects(permits.write('permitTransferFrom', args(1n, '0x1234')), /InvalidContractSignature/);
  });
}

finish();
