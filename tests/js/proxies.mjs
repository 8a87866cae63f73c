// Proxies, clones and factories over both machines: OpenZeppelin's proxies (ERC-1967 with UUPS,
// transparent, beacon), EIP-1167 clones and a RISC-V proxy, each with implementations of both kinds
// that replace each other over one storage.
import { concat, encodeDeployData, encodeFunctionData, getContractAddress, keccak256, pad, parseEventLogs, toHex } from 'viem';
import { accounts, artifact, assert, at, deploy, finish, machines, ours, pairs, reader, refused, step } from './kit.mjs';

const [me, friend] = accounts.map(account => account.address);
const oz = name => artifact(`@openzeppelin/contracts/build/contracts/${name}.json`);
const SLOT = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc';
const LONG = 'A ledger whose name does not fit into thirty-one bytes';
const ledger = (machine, version) => deploy(ours('Ledger', machine), [version]);
const { abi } = ours('Ledger', 'riscv');
const call = (functionName, ...args) => encodeFunctionData({ abi, functionName, args });
const slot = async (address, index) => BigInt(await reader.getStorageAt({ address, slot: index }));

/** What a ledger has to hold after the first deposits, whoever computed it. */
async function holds(proxy, version) {
  assert.equal(await proxy.read('version'), version);
  assert.equal(await proxy.read('owner'), me);
  assert.equal(await proxy.read('name'), LONG);
  assert.equal(await proxy.read('balanceOf', me), 70n);
  assert.equal(await proxy.read('balanceOf', friend), 30n);
  assert.equal(await proxy.read('total'), 100n);
  assert.equal(await proxy.read('payerCount'), 2n);
  assert.equal(await proxy.read('payers', 1n), friend);
  assert.equal(await reader.getBalance({ address: proxy.address }), 100n);
  // The layout is Solidity's: the owner in slot 0, the total in slot 2, the list's length in slot 4.
  assert.deepEqual(await Promise.all([0, 2, 4].map(index => slot(proxy.address, toHex(index)))), [BigInt(me), 100n, 2n]);
}

async function fill(proxy) {
  await proxy.write('deposit', [], { value: 70n });
  const receipt = await proxy.write('deposit', [], { value: 30n, from: 1 });
  return parseEventLogs({ abi, logs: receipt.logs, eventName: 'Deposited' })[0];
}

const proxies = { evm: () => oz('ERC1967Proxy'), riscv: () => ours('Proxy', 'riscv') };

for (const kind of machines) {
  for (const [first, second] of pairs) {
    await step(`a ${kind} ERC-1967 proxy keeps its storage from ${first} to ${second} (UUPS)`, async () => {
      const [one, two] = [await ledger(first, 1n), await ledger(second, 2n)];
      const proxy = at((await deploy(proxies[kind](), [one.address, call('initialize', me, LONG)])).address, abi);
      const event = await fill(proxy);
      assert.deepEqual([event.address, event.args], [proxy.address.toLowerCase(), { by: friend, value: 30n, version: 1n }]);
      await holds(proxy, 1n);
      assert.equal(await slot(proxy.address, SLOT), BigInt(one.address));
      await assert.rejects(proxy.write('initialize', [friend, 'x']), /AlreadyInitialized/);
      await assert.rejects(proxy.write('upgradeToAndCall', [two.address, '0x'], { from: 1 }), /NotOwner/);
      await assert.rejects(proxy.write('upgradeToAndCall', [me, '0x']), /ERC1967InvalidImplementation/);
      await assert.rejects(proxy.write('upgradeToAndCall', [proxy.address, '0x']), /ERC1967InvalidImplementation/);
      await assert.rejects(one.write('upgradeToAndCall', [two.address, '0x']), /UUPSUnauthorizedCallContext/);
      const receipt = await proxy.write('upgradeToAndCall', [two.address, call('deposit')]);
      const [upgraded] = parseEventLogs({ abi, logs: receipt.logs, eventName: 'Upgraded' });
      assert.equal(upgraded.args.implementation, two.address);
      await holds(proxy, 2n);
      // What one kind has written the other changes, and the refusals are the same.
      await assert.rejects(proxy.write('withdraw', [31n], { from: 1 }), /InsufficientBalance/);
      await proxy.write('withdraw', [30n], { from: 1 });
      assert.equal(await proxy.read('total'), 70n);
      await proxy.write('upgradeToAndCall', [one.address, '0x']);
      assert.equal(await proxy.read('version'), 1n);
      assert.equal(await proxy.read('balanceOf', friend), 0n);
      assert.equal(await one.read('total'), 0n);
    });
  }
}

for (const [first, second] of pairs) {
  await step(`OpenZeppelin's transparent proxy goes from ${first} to ${second}`, async () => {
    const [one, two] = [await ledger(first, 1n), await ledger(second, 2n)];
    const transparent = oz('TransparentUpgradeableProxy');
    const { address } = await deploy(transparent, [one.address, me, call('initialize', me, LONG)]);
    const proxy = at(address, abi);
    const admin = at(getContractAddress({ from: address, nonce: 1n }), oz('ProxyAdmin').abi);
    assert.equal(await admin.read('owner'), me);
    await fill(proxy);
    await holds(proxy, 1n);
    await admin.write('upgradeAndCall', [address, two.address, '0x']);
    await holds(proxy, 2n);
  });

  await step(`OpenZeppelin's beacon takes two proxies from ${first} to ${second}`, async () => {
    const [one, two] = [await ledger(first, 1n), await ledger(second, 2n)];
    const beacon = await deploy(oz('UpgradeableBeacon'), [one.address, me]);
    const behind = async (...args) => at((await deploy(oz('BeaconProxy'), [beacon.address, call('initialize', ...args)])).address, abi);
    const made = [await behind(me, LONG), await behind(friend, 'other')];
    await fill(made[0]);
    await beacon.write('upgradeTo', [two.address]);
    await holds(made[0], 2n);
    assert.deepEqual([await made[1].read('version'), await made[1].read('owner'), await made[1].read('name')], [2n, friend, 'other']);
  });
}

/** EIP-1167's creation code: a proxy of 45 bytes, which has no slot for an implementation. */
const clone = address => concat(['0x3d602d80600a3d3981f3363d3d373d3d3d363d73', address, '0x5af43d82803e903d91602b57fd5bf3']);

for (const [maker, made] of pairs) {
  await step(`a ${maker} factory clones a ${made} contract (EIP-1167), also at a predicted address`, async () => {
    const factory = await deploy(ours('Factory', maker));
    const template = await ledger(made, 9n);
    const code = clone(template.address);
    await factory.write('create', [code]);
    const salt = pad('0x05', { size: 32 });
    const predicted = getContractAddress({ opcode: 'CREATE2', from: factory.address, bytecode: code, salt });
    await factory.write('create2', [code, salt]);
    const [one, two] = [await factory.read('children', 0n), await factory.read('children', 1n)];
    assert.deepEqual([one, two], [getContractAddress({ from: factory.address, nonce: 1n }), predicted]);
    const [first, second] = [at(one, abi), at(two, abi)];
    await first.write('initialize', [me, LONG]);
    await second.write('initialize', [friend, 'second']);
    await fill(first);
    await holds(first, 9n);
    assert.deepEqual([await second.read('name'), await second.read('total')], ['second', 0n]);
    assert.equal((await reader.getCode({ address: one })).length, 2 + 2 * 45);
  });

  await step(`a ${maker} factory creates a ${made} contract at the addresses that were predicted`, async () => {
    const factory = await deploy(ours('Factory', maker));
    const { bytecode } = ours('Ledger', made);
    const code = encodeDeployData({ abi, bytecode, args: [4n] });
    const salt = keccak256('0x1234');
    const create = getContractAddress({ from: factory.address, nonce: 1n });
    const create2 = getContractAddress({ opcode: 'CREATE2', from: factory.address, bytecode: code, salt });
    assert.equal(await reader.getCode({ address: create2 }), undefined);
    await factory.write('create', [code]);
    await factory.write('create2', [code, salt]);
    for (const [index, address] of [create, create2].entries()) {
      assert.equal(await factory.read('children', BigInt(index)), address);
      assert.equal(await at(address, abi).read('version'), 4n);
    }
    // Another constructor argument is another address; the same again is taken.
    const other = encodeDeployData({ abi, bytecode, args: [5n] });
    assert.notEqual(getContractAddress({ opcode: 'CREATE2', from: factory.address, bytecode: other, salt }), create2);
    await assert.rejects(factory.write('create2', [code, salt]), /CreationFailed/);
  });
}

await step('a proxy of a proxy of a proxy, over the machines in turn', async () => {
  const target = await ledger('evm', 3n);
  const inner = await deploy(ours('Proxy', 'riscv'), [target.address, '0x']);
  const middle = await deploy(ours('Proxy', 'riscv'), [inner.address, '0x']);
  // Each delegates with its own storage's slot: the outermost's slot decides for all, and leads to
  // itself, so the innermost code is never reached and the gas runs out. Nothing hangs.
  await assert.rejects(reader.call({ to: middle.address, data: call('version'), gas: 10_000_000n }));
  // A chain that does end: a clone of the proxy's implementation, called through the proxy.
  const { address } = await deploy({ abi: [], bytecode: clone(target.address) });
  const outer = at((await deploy(ours('Proxy', 'riscv'), [address, call('initialize', me, LONG)])).address, abi);
  await fill(outer);
  await holds(outer, 3n);
});

await step('a constructor that fails under a proxy says why', async () => {
  const target = await ledger('riscv', 1n);
  const proxy = { ...ours('Proxy', 'riscv'), abi: [...ours('Proxy', 'riscv').abi, ...abi.filter(item => item.name === 'InsufficientBalance')] };
  await refused(proxy, [target.address, call('withdraw', 5n)], 'InsufficientBalance');
  await refused(proxy, [friend, '0x'], 'ERC1967InvalidImplementation');
  await refused(proxy, [target.address, '0x'], 'ERC1967NonPayable', 1n);
});

finish();
