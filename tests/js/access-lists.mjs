// Block access lists (EIP-7928, from Amsterdam on): whichever machine a contract runs on, what its
// transaction read and changed is the same. The node runs with `--hardfork amsterdam`.
import { encodeAbiParameters, encodeFunctionData, keccak256, numberToHex } from 'viem';
import { accounts, assert, deploy, finish, ours, pairs, reader, step } from './kit.mjs';

const [me] = accounts.map(account => account.address);
const heir = '0x00000000000000000000000000000000000000ee';
const ask = (method, ...params) => reader.request({ method, params });

/** A block's list with roles in place of addresses: what a list of another run can be held against. */
async function list(block, roles) {
  const quantity = numberToHex(block);
  const accesses = await ask('eth_getBlockAccessListByBlockNumber', quantity);
  const raw = await ask('eth_getBlockAccessListRaw', quantity);
  assert.equal(keccak256(raw), (await ask('eth_getBlockByNumber', quantity, false)).blockAccessListHash);
  // The system contracts (0x000...) are written by every block, each time with other values.
  const ours = accesses.filter(({ address }) => !address.startsWith('0x000') || address === heir);
  const entries = ours.map(({ address, storageChanges, storageReads, balanceChanges, nonceChanges, codeChanges }) => {
    const role = roles[address.toLowerCase()] ?? address;
    // What the sender has in the end depends on the gas and on what he has done before.
    if (role === 'me') return [role, [balanceChanges.length, nonceChanges.length]];
    return [role, { storageChanges: named(storageChanges, roles), storageReads: named(storageReads, roles), balances: balanceChanges, nonceChanges, code: codeChanges.length }];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The same, with roles in place of addresses that are stored and of slots that follow from them. */
function named(changes, roles) {
  let text = JSON.stringify(changes);
  // An address may stand packed beside another value, and numbers have no zeros before them.
  for (const [known, role] of Object.entries(roles)) text = text.replaceAll(new RegExp(`0*${known.replace(/^0x0*/, '')}`, 'g'), role);
  return JSON.parse(text);
}

async function scenario(first, second) {
  const deployed = (name, machine) => deploy(ours(name, machine));
  const player = await deployed('PingPong', first);
  const peer = await deployed('PingPong', second);
  const factory = await deployed('Factory', first);
  const catcher = await deployed('Catcher', first);
  const trouble = await deployed('Trouble', second);
  const bank = await deployed('Bank', first);
  const thief = await deployed('Thief', second);
  const roles = { [me.toLowerCase()]: 'me' };
  for (const [role, { address }] of Object.entries({ player, peer, factory, catcher, trouble, bank, thief })) roles[address.toLowerCase()] = role;
  const lists = {};
  const record = async (name, receipt) => { lists[name] = await list(receipt.blockNumber, roles); };
  await record('calls in turn', await player.write('play', [peer.address, 5n], { value: 7n }));
  // Frames that are undone: what they wrote counts as read.
  await record('a failure that is caught', await player.write('survive', [peer.address, 3n]));
  for (const how of [0, 4, 5]) {
    await record(`failure ${how}`, await catcher.write('attempt', [trouble.address, how, 9n, 'no'], { gas: 5_000_000n }));
  }
  await record('a written zero', await trouble.write('setMark', [0n]));
  const mapped = account => numberToHex(BigInt(keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'uint256' }], [account, 0n]))));
  roles[mapped(thief.address)] = 'balance of the thief';
  await bank.write('deposit', [], { value: 100n });
  await record('a robbery', await thief.write('attack', [bank.address, false, 2n], { value: 3n }));
  await record('a refused robbery', await thief.write('attack', [bank.address, true, 2n], { value: 3n }));
  const code = ours('Trouble', second).bytecode;
  const created = await factory.write('create', [code]);
  roles[(await factory.read('children', 0n)).toLowerCase()] = 'child';
  await record('a creation', created);
  const { result } = await reader.simulateContract({ ...catcher, functionName: 'makeAndEnd', args: [code, heir], value: 5n, account: me });
  roles[result.toLowerCase()] = 'short-lived';
  const ended = await catcher.write('makeAndEnd', [code, heir], { value: 5n });
  await record('a creation that ends at once', ended);
  const mark = encodeFunctionData({ abi: trouble.abi, functionName: 'setMark', args: [8n] });
  await record('a delegate call', await player.write('delegateCall', [trouble.address, mark]));
  return lists;
}

const expected = await scenario('evm', 'evm');
for (const [first, second] of pairs.slice(1)) {
  await step(`access lists of ${first} and ${second} contracts are those of the EVM's alone`, async () => {
    const lists = await scenario(first, second);
    for (const [name, accesses] of Object.entries(lists)) {
      // Each run starts from what the ones before it left with the heir.
      const without = ({ [heir]: _, ...rest }) => rest;
      assert.deepEqual(without(accesses), without(expected[name]), name);
      assert.equal(heir in accesses, heir in expected[name], name);
    }
  });
}

await step('the lists show what happened', async () => {
  const play = expected['calls in turn'];
  assert.equal(play.player.storageChanges.length, 3);
  assert.equal(play.peer.balances.length, 1);
  const caught = expected['a failure that is caught'];
  assert.deepEqual([caught.peer.storageChanges, caught.peer.storageReads.length], [[], 3]);
  const created = expected['a creation'];
  assert.deepEqual([created.child.code, created.child.nonceChanges.length], [1, 1]);
  const ended = expected['a creation that ends at once'];
  assert.deepEqual([ended['short-lived'].code, ended['short-lived'].nonceChanges], [0, []]);
});

finish();
