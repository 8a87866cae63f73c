// Careful contracts over both machines: re-entrancy guards in transient storage, callees that fail in
// every way, large answers and bombs, and contracts that end themselves (EIP-6780).
import { concat, encodeAbiParameters, encodeFunctionData, getContractAddress, hexToBigInt, keccak256, numberToHex, pad, size } from 'viem';
import { accounts, assert, at, deploy, finish, mined, ours, pairs, reader, step, wallets } from './kit.mjs';

const [me, friend] = accounts.map(account => account.address);
const balance = address => reader.getBalance({ address });
const REENTRANT = pad(keccak256(new TextEncoder().encode('ReentrantCall()')).slice(0, 10), { size: 32, dir: 'right' });
const heir = index => pad(numberToHex(0xbeef0000 + index), { size: 20 });
const { abi: pingPong } = ours('PingPong', 'riscv');

for (const [lender, robber] of pairs) {
  await step(`a ${robber} thief robs a ${lender} bank, but not one with a guard`, async () => {
    const bank = await deploy(ours('Bank', lender));
    const thief = await deploy(ours('Thief', robber));
    await bank.write('deposit', [], { value: 1000n, from: 1 });
    await thief.write('attack', [bank.address, false, 3n], { value: 100n });
    assert.deepEqual([await balance(thief.address), await balance(bank.address)], [400n, 700n]);
    // Guarded: the call back is refused, and the thief has what was its own.
    await thief.write('attack', [bank.address, true, 3n], { value: 100n });
    assert.deepEqual([await balance(thief.address), await balance(bank.address)], [500n, 700n]);
    assert.equal(await thief.read('refusal'), REENTRANT);
    // The guard is open again: in the next transaction, and for the next call in the same one.
    await thief.write('attack', [bank.address, true, 0n], { value: 7n });
    assert.equal(await balance(bank.address), 700n);
    assert.equal(await bank.read('balanceOf', friend), 1000n);
  });

  await step(`transient storage of a ${lender} contract ends with the transaction, whatever a ${robber} one does`, async () => {
    const bank = await deploy(ours('Bank', lender));
    const player = await deploy(ours('PingPong', robber));
    // A frame that reverts takes its mark with it: withdraw fails (PingPong takes wei, its peer does
    // not have any), then works, in one transaction each and in one together.
    const data = encodeFunctionData({ abi: bank.abi, functionName: 'withdraw' });
    const twice = encodeFunctionData({ abi: pingPong, functionName: 'call', args: [bank.address, data] });
    await player.write('call', [bank.address, data]);
    await player.write('call', [player.address, twice]);
    // Over the caller's own state: a delegated guard marks the delegating contract, not the bank.
    await player.write('delegateCall', [bank.address, data], { from: 1 });
    assert.equal(await reader.getStorageAt({ address: bank.address, slot: '0x0' }), pad('0x0', { size: 32 }));
  });
}

const WAYS = [
  ['Error(string)', 0, [1, 0n, 'why not']],
  ['an overflow', 1, [2, 0x11n, '']],
  ['a division by zero', 2, [2, 0x12n, '']],
  ['an index past the end', 3, [2, 0x32n, '']],
  ['a typed error', 4, [3, 77n, 'why not']],
  ['no reason', 5, [4, 0n, '']],
  ['a halt', 6, [4, 0n, '']],
  ['gas that runs out', 7, [4, 0n, '']],
  ['success', 8, [0, 77n, '']],
];

for (const [caller, callee] of pairs) {
  await step(`a ${caller} contract tells apart how a ${callee} one fails`, async () => {
    const catcher = await deploy(ours('Catcher', caller));
    const trouble = await deploy(ours('Trouble', callee));
    for (const [name, how, expected] of WAYS) {
      const args = [trouble.address, how, 77n, 'why not'];
      const { result } = await reader.simulateContract({ ...catcher, functionName: 'attempt', args, gas: 10_000_000n });
      assert.deepEqual(result, expected, name);
      // In a transaction: what the callee wrote before it failed is undone.
      await catcher.write('attempt', args, { gas: 10_000_000n });
      assert.equal(await trouble.read('mark'), how === 8 ? 77n : 0n, name);
    }
    // An account without code answers a call of a declared function with nothing: that fails.
    await assert.rejects(reader.simulateContract({ ...catcher, functionName: 'attempt', args: [heir(0), 8, 1n, ''] }));
  });

  await step(`a ${caller} contract takes 1 MB from a ${callee} one, and defuses a bomb`, async () => {
    const catcher = await deploy(ours('Catcher', caller));
    const trouble = await deploy(ours('Trouble', callee));
    const words = length => concat(Array.from({ length: length / 32 }, (_, n) => numberToHex(n, { size: 32 })));
    for (const length of [0, 32, 131_072]) {
      const answer = await reader.readContract({ ...catcher, functionName: 'fetch', args: [trouble.address, BigInt(length)], gas: 1_000_000_000n });
      assert.deepEqual(answer, [BigInt(length), keccak256(length ? words(length) : '0x')], `${length} bytes`);
    }
    const whole = await reader.readContract({ ...trouble, functionName: 'fill', args: [200_000n], gas: 1_000_000_000n });
    assert.equal(size(whole), 200_000);
    // In an ordinary transaction, too.
    const filled = encodeFunctionData({ abi: catcher.abi, functionName: 'fetch', args: [trouble.address, 102_400n] });
    await mined(wallets[0].sendTransaction({ to: catcher.address, data: filled, gas: 16_000_000n }));
    const bomb = 1_048_576n;
    const [offered, taken] = await reader.readContract({ ...catcher, functionName: 'defuse', args: [trouble.address, bomb], gas: 1_000_000_000n });
    assert.deepEqual([offered, taken], [bomb, concat([numberToHex(0, { size: 32 }), numberToHex(1, { size: 32 })])]);
    // What the bomb costs its caller is what the callee itself has spent, and next to nothing more.
    const gas = async (target, functionName, args) => reader.estimateContractGas({ ...target, functionName, args, account: me });
    const direct = encodeFunctionData({ abi: trouble.abi, functionName: 'bomb', args: [65_536n] });
    const alone = await traceGas(trouble.address, direct);
    const defused = await gas(catcher, 'defuse', [trouble.address, 65_536n]);
    assert.ok(defused < alone + alone / 10n + 20_000n, `${defused} gas, the bomb alone ${alone}`);
  });

  await step(`a ${callee} contract ends itself, called by a ${caller} one (EIP-6780)`, async () => {
    const catcher = await deploy(ours('Catcher', caller));
    const player = await deploy(ours('PingPong', caller));
    const { abi, bytecode } = ours('Trouble', callee);
    const end = to => encodeFunctionData({ abi, functionName: 'end', args: [to] });
    // An older contract: its wei goes, code and storage stay.
    const old = await deploy({ abi, bytecode });
    await old.write('setMark', [5n]);
    await mined(wallets[0].sendTransaction({ to: old.address, value: 9n }));
    await player.write('call', [old.address, end(heir(1))]);
    assert.deepEqual([await balance(old.address), await old.read('mark')], [0n, 5n]);
    assert.notEqual(await reader.getCode({ address: old.address }), undefined);
    // To itself: nothing is burnt, for the account stays.
    await mined(wallets[0].sendTransaction({ to: old.address, value: 4n }));
    await player.write('call', [old.address, end(old.address)]);
    assert.equal(await balance(old.address), 4n);
    // One that was created in the same transaction is gone, wherever it was called from.
    const before = await balance(heir(2));
    const child = getContractAddress({ from: catcher.address, nonce: 1n });
    await catcher.write('makeAndEnd', [bytecode, heir(2)], { value: 11n });
    assert.equal(await reader.getCode({ address: child }), undefined);
    assert.deepEqual([await balance(child), await balance(heir(2)) - before], [0n, 11n]);
    assert.equal(await reader.getTransactionCount({ address: child }), 0);
    // To itself there: the wei is burnt.
    const second = getContractAddress({ from: catcher.address, nonce: 2n });
    await catcher.write('makeAndEnd', [bytecode, second], { value: 13n });
    assert.deepEqual([await reader.getCode({ address: second }), await balance(second)], [undefined, 0n]);
    // Delegated: the account that ends is the delegating one, and it is an old one.
    await mined(wallets[0].sendTransaction({ to: player.address, value: 6n }));
    await player.write('delegateCall', [old.address, end(heir(3))]);
    assert.deepEqual([await balance(player.address), await balance(old.address)], [0n, 4n]);
    assert.equal(await player.read('hits'), 0n);
    // In a static call it may not.
    await assert.rejects(player.read('staticCall', old.address, end(heir(1))));
  });
}

/** The gas that a call which reverts takes: its trace says so. */
async function traceGas(to, data) {
  const trace = await reader.request({ method: 'debug_traceCall', params: [{ from: me, to, data }, 'latest', { tracer: 'callTracer' }] });
  return hexToBigInt(trace.gasUsed);
}

finish();
