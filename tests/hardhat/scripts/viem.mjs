// What a project's own script does: `hardhat run scripts/viem.mjs`. The last line counts the steps.
import assert from 'node:assert/strict';
import { network } from 'hardhat';
import { encodeDeployData, parseEther } from 'viem';
import players from '../ignition/modules/players.mjs';
import { evm, image, riscv } from '../images.mjs';

const { viem, ignition, networkHelpers, provider } = await network.create();
const reader = await viem.getPublicClient({ pollingInterval: 20 });
const wallets = await viem.getWalletClients({ pollingInterval: 20 });
const [me, friend, other] = wallets.map(wallet => wallet.account.address);
let passed = 0;

async function step(name, check) {
  await check();
  passed += 1;
  console.log(`ok ${name}`);
}

/** Deploys a token in one of three ways. */
async function deploy(machine) {
  const args = ['Tandem Token', 'TDM', 1_000_000n, me];
  if (machine === 'evm') return viem.deployContract('Token', args);
  const { abi, bytecode } = riscv('Token');
  if (machine === 'riscv') {
    const hash = await wallets[0].deployContract({ abi, bytecode, args });
    const { contractAddress } = await reader.waitForTransactionReceipt({ hash });
    return viem.getContractAt('Token', contractAddress);
  }
  const tail = encodeDeployData({ abi, bytecode: '0x', args });
  const request = { image: `0x${image('Token').toString('hex')}`, args: tail, from: me };
  const { transactionHash, address } = await provider.request({ method: 'rv_deploy', params: [request] });
  const receipt = await reader.waitForTransactionReceipt({ hash: transactionHash });
  assert.equal(receipt.contractAddress, address.toLowerCase());
  return viem.getContractAt('Token', address);
}

for (const machine of ['evm', 'riscv', 'rv_deploy']) {
  await step(`a token moves and refuses: ${machine}`, async () => {
    const token = await deploy(machine);
    assert.equal(await token.read.name(), 'Tandem Token');
    const hash = await token.write.transfer([friend, 300n]);
    assert.equal((await reader.waitForTransactionReceipt({ hash })).status, 'success');
    assert.deepEqual([await token.read.balanceOf([me]), await token.read.balanceOf([friend])], [999_700n, 300n]);
    const events = await token.getEvents.Transfer({ to: friend });
    assert.deepEqual(events.map(event => event.args.value), [300n]);
    await assert.rejects(token.write.transfer([me, 1n], { account: other }), /ERC20InsufficientBalance/);
  });
}

await step('Ignition deploys both kinds and plays', async () => {
  const { player } = await ignition.deploy(players);
  // Heights 4, 2 and 0 of the first game; its own and the peer's of a game that fails are undone.
  assert.ok((await player.read.hits()) >= 3n, `${await player.read.hits()}`);
});

await step('the network helpers change state, time and sender', async () => {
  const ghost = '0x00000000000000000000000000000000000000ee';
  await networkHelpers.setBalance(ghost, parseEther('3'));
  assert.equal(await reader.getBalance({ address: ghost }), parseEther('3'));
  const savepoint = await networkHelpers.takeSnapshot();
  await networkHelpers.impersonateAccount(ghost);
  const request = { from: ghost, to: friend, value: '0x5' };
  const hash = await provider.request({ method: 'eth_sendTransaction', params: [request] });
  assert.equal((await reader.getTransactionReceipt({ hash })).from, ghost);
  await networkHelpers.stopImpersonatingAccount(ghost);
  await networkHelpers.setNonce(ghost, 7);
  assert.equal(await reader.getTransactionCount({ address: ghost }), 7);
  await networkHelpers.setCode(ghost, evm('PingPong').deployedBytecode);
  await networkHelpers.setStorageAt(ghost, 0, 9);
  assert.equal(await (await viem.getContractAt('PingPong', ghost)).read.hits(), 9n);
  await networkHelpers.mine(5, { interval: 10 });
  await networkHelpers.mineUpTo((await networkHelpers.time.latestBlock()) + 3);
  const soon = (await networkHelpers.time.latest()) + 1_000;
  await networkHelpers.time.increaseTo(soon);
  // The helper says by how much, and the clock goes on.
  const late = (await networkHelpers.time.latest()) - soon;
  assert.ok(late >= 0 && late < 60, `${late}`);
  await networkHelpers.setNextBlockBaseFeePerGas(5_000_000_000n);
  await networkHelpers.setPrevRandao(77);
  await networkHelpers.setBlockGasLimit(20_000_000n);
  await networkHelpers.setCoinbase(friend);
  await networkHelpers.mine();
  const block = await reader.getBlock();
  assert.equal(block.baseFeePerGas, 5_000_000_000n);
  assert.equal(BigInt(block.mixHash), 77n);
  assert.equal(block.gasLimit, 20_000_000n);
  assert.equal(block.miner, friend.toLowerCase());
  await savepoint.restore();
  assert.equal(await reader.getTransactionCount({ address: ghost }), 0);
});

await step('a fixture is loaded once and restored after that', async () => {
  let runs = 0;
  async function fixture() {
    runs += 1;
    return viem.deployContract('PingPong');
  }
  const first = await networkHelpers.loadFixture(fixture);
  await first.write.play([me, 0n]);
  assert.equal(await first.read.hits(), 1n);
  const second = await networkHelpers.loadFixture(fixture);
  assert.deepEqual([second.address, await second.read.hits(), runs], [first.address, 0n, 1]);
});

console.log(`${passed} passed, 0 failed`);
