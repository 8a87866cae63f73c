// ERC-4337: EntryPoint 0.8 with a SimpleAccount made by its factory, EntryPoint 0.7 by its runtime
// code at its usual address; Permit2; Multicall3, which the dev genesis has.
import { concat, encodeFunctionData, maxUint256, pad, parseEther, parseEventLogs, toHex } from 'viem';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { accounts, artifact, assert, at, chain, deploy, finish, mined, reader, step, tester, wallets } from './kit.mjs';

const require = createRequire(import.meta.url);
const [me, owner, bundler] = accounts;
const target = '0x00000000000000000000000000000000000000bb';
const two = (high, low) => concat([pad(toHex(high), { size: 16 }), pad(toHex(low), { size: 16 })]);
let entryPoint, factory, account;

/** What hardhat-predeploy has for an address: code and ABI. */
function predeployed(address) {
  const read = kind => readFileSync(require.resolve(`hardhat-predeploy/bin/${address}.${kind}`));
  return { address, abi: JSON.parse(read('abi')), bytecode: `0x${read('bytecode').toString('hex')}` };
}

async function operation(fields) {
  const op = {
    sender: account.address,
    nonce: await entryPoint.read('getNonce', account.address, 0n),
    initCode: '0x',
    accountGasLimits: two(2_000_000n, 200_000n),
    preVerificationGas: 60_000n,
    gasFees: two(1n, 10n ** 9n),
    paymasterAndData: '0x',
    signature: '0x',
    ...fields,
  };
  op.signature = await owner.sign({ hash: await entryPoint.read('getUserOpHash', op) });
  return op;
}

const transfer = value => encodeFunctionData({
  abi: account.abi, functionName: 'execute', args: [target, value, '0x'],
});

await step('the entry point creates an account and runs its first operation', async () => {
  entryPoint = await deploy(artifact('@account-abstraction/contracts/artifacts/EntryPoint.json'));
  factory = await deploy(artifact('@account-abstraction/contracts/artifacts/SimpleAccountFactory.json'), [entryPoint.address]);
  const senderCreator = await factory.read('senderCreator');
  assert.equal(senderCreator, await entryPoint.read('senderCreator'));
  const address = await reader.readContract({ ...factory, functionName: 'getAddress', args: [owner.address, 1n] });
  account = at(address, artifact('@account-abstraction/contracts/artifacts/SimpleAccount.json').abi);
  await entryPoint.write('depositTo', [address], { value: parseEther('1') });
  await mined(wallets[0].sendTransaction({ to: address, value: parseEther('1') }));
  const create = encodeFunctionData({ abi: factory.abi, functionName: 'createAccount', args: [owner.address, 1n] });
  const op = await operation({ initCode: concat([factory.address, create]), callData: transfer(123n) });
  const receipt = await entryPoint.write('handleOps', [[op], bundler.address]);
  const [event] = parseEventLogs({ abi: entryPoint.abi, logs: receipt.logs, eventName: 'UserOperationEvent' });
  assert.equal(event.args.success, true);
  assert.equal(event.args.sender, address);
  assert.equal(await reader.getBalance({ address: target }), 123n);
  assert.equal(await account.read('owner'), owner.address);
  assert.equal(await entryPoint.read('balanceOf', address), parseEther('1') - event.args.actualGasCost);
});

await step('a second operation needs the next nonce and the right signature', async () => {
  const op = await operation({ callData: transfer(7n) });
  await entryPoint.write('handleOps', [[op], bundler.address]);
  assert.equal(await reader.getBalance({ address: target }), 130n);
  await assert.rejects(entryPoint.write('handleOps', [[op], bundler.address]), /AA25|FailedOp/);
  const forged = await operation({ callData: transfer(7n) });
  forged.signature = await me.sign({ hash: await entryPoint.read('getUserOpHash', forged) });
  await assert.rejects(entryPoint.write('handleOps', [[forged], bundler.address]), /AA24|FailedOp/);
});

await step('EntryPoint 0.7 runs at its usual address', async () => {
  const { address, abi, bytecode } = predeployed('0x0000000071727De22E5E9d8BAf0edAc6f37da032');
  await tester.setCode({ address, bytecode });
  const seventh = at(address, abi);
  await seventh.write('depositTo', [me.address], { value: 5n });
  assert.equal(await seventh.read('balanceOf', me.address), 5n);
  await seventh.write('withdrawTo', [target, 2n]);
  assert.equal(await seventh.read('balanceOf', me.address), 3n);
});

await step('Permit2 moves tokens on a signature', async () => {
  // What the package has for it is its creation code.
  const permit2 = await deploy(predeployed('0x000000000022D473030F116dDEE9F6B43aC78BA3'));
  const token = await deploy(artifact('@uniswap/v2-periphery/build/ERC20.json'), [parseEther('100')]);
  await token.write('approve', [permit2.address, maxUint256]);
  const permitted = { token: token.address, amount: 50n };
  const message = { permitted, spender: owner.address, nonce: 0n, deadline: maxUint256 };
  const signature = await me.signTypedData({
    domain: { name: 'Permit2', chainId: chain.id, verifyingContract: permit2.address },
    types: {
      PermitTransferFrom: [
        { name: 'permitted', type: 'TokenPermissions' },
        { name: 'spender', type: 'address' },
        { name: 'nonce', type: 'uint256' },
        { name: 'deadline', type: 'uint256' },
      ],
      TokenPermissions: [{ name: 'token', type: 'address' }, { name: 'amount', type: 'uint256' }],
    },
    primaryType: 'PermitTransferFrom',
    message,
  });
  // The function has a twin for batches: name the one that takes a single permit.
  const abi = permit2.abi.filter(item => item.name !== 'permitTransferFrom' || item.inputs[1].type === 'tuple');
  const request = {
    address: permit2.address,
    abi,
    account: owner,
    functionName: 'permitTransferFrom',
    args: [
      { permitted, nonce: 0n, deadline: maxUint256 },
      { to: target, requestedAmount: 20n },
      me.address,
      signature,
    ],
  };
  await mined(wallets[1].writeContract(request));
  assert.equal(await token.read('balanceOf', target), 20n);
  await assert.rejects(reader.simulateContract(request), /InvalidNonce/);
});

await step('Multicall3 answers many reads in one call', async () => {
  const token = await deploy(artifact('@uniswap/v2-periphery/build/ERC20.json'), [1000n]);
  const read = functionName => ({ address: token.address, abi: token.abi, functionName });
  const results = await reader.multicall({
    contracts: [read('totalSupply'), read('decimals'), read('symbol'), { ...read('balanceOf'), args: [me.address] }],
    allowFailure: false,
  });
  assert.deepEqual(results, [1000n, 18, 'TT', 1000n]);
});

finish();
