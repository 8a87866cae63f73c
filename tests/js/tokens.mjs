// OpenZeppelin's ERC-20 (permit, votes), ERC-721, ERC-1155, ERC-4626 and Governor, compiled here by
// npm's solc from the package's own sources.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { encodeFunctionData, keccak256, parseEther, parseEventLogs, parseSignature, toHex } from 'viem';
import { accounts, assert, chain, deploy, finish, reader, step, tester } from './kit.mjs';

const require = createRequire(import.meta.url);
const solc = require('solc');
const [me, friend, other] = accounts.map(account => account.address);

const source = `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;
import "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import "@openzeppelin/contracts/token/ERC721/extensions/ERC721URIStorage.sol";
import "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import "@openzeppelin/contracts/governance/utils/IVotes.sol";
import "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";

contract Coin is ERC20Permit, ERC20Votes {
    constructor() ERC20("Coin", "COIN") ERC20Permit("Coin") { _mint(msg.sender, 1000 ether); }
    function _update(address a, address b, uint256 v) internal override(ERC20, ERC20Votes) { super._update(a, b, v); }
    function nonces(address a) public view override(ERC20Permit, Nonces) returns (uint256) { return super.nonces(a); }
}
contract Card is ERC721URIStorage {
    constructor() ERC721("Card", "CARD") {}
    function mint(address to, uint256 id, string memory uri) external { _safeMint(to, id); _setTokenURI(id, uri); }
}
contract Items is ERC1155 {
    constructor() ERC1155("https://example.org/{id}") {}
    function mint(address to, uint256[] memory ids, uint256[] memory amounts) external { _mintBatch(to, ids, amounts, ""); }
}
contract Vault is ERC4626 {
    constructor(IERC20 asset) ERC4626(asset) ERC20("Vault", "vCOIN") {}
}
contract Council is GovernorCountingSimple, GovernorVotesQuorumFraction {
    constructor(IVotes token) Governor("Council") GovernorVotes(token) GovernorVotesQuorumFraction(4) {}
    function votingDelay() public pure override returns (uint256) { return 1; }
    function votingPeriod() public pure override returns (uint256) { return 5; }
}`;

function compile() {
  const input = {
    language: 'Solidity',
    sources: { 'tokens.sol': { content: source } },
    settings: { evmVersion: 'cancun', optimizer: { enabled: true }, outputSelection: { 'tokens.sol': { '*': ['abi', 'evm.bytecode.object'] } } },
  };
  const load = path => ({ contents: readFileSync(require.resolve(path), 'utf8') });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
  const errors = (output.errors ?? []).filter(error => error.severity === 'error');
  assert.deepEqual(errors, []);
  return Object.fromEntries(Object.entries(output.contracts['tokens.sol']).map(
    ([name, { abi, evm }]) => [name, { abi, bytecode: `0x${evm.bytecode.object}` }],
  ));
}

const contracts = compile();
let coin;

await step('ERC-20 moves and refuses with typed errors', async () => {
  coin = await deploy(contracts.Coin);
  const receipt = await coin.write('transfer', [friend, parseEther('10')]);
  const [event] = parseEventLogs({ abi: coin.abi, logs: receipt.logs, eventName: 'Transfer' });
  assert.deepEqual(event.args, { from: me, to: friend, value: parseEther('10') });
  await assert.rejects(coin.write('transfer', [me, parseEther('11')], { from: 1 }), /ERC20InsufficientBalance/);
});

await step('ERC-20 permit takes a typed signature', async () => {
  const deadline = 2n ** 40n;
  const signature = parseSignature(await accounts[1].signTypedData({
    domain: { name: 'Coin', version: '1', chainId: chain.id, verifyingContract: coin.address },
    types: { Permit: ['owner', 'spender', 'value', 'nonce', 'deadline'].map(name => ({ name, type: ['owner', 'spender'].includes(name) ? 'address' : 'uint256' })) },
    primaryType: 'Permit',
    message: { owner: friend, spender: me, value: 5n, nonce: 0n, deadline },
  }));
  await coin.write('permit', [friend, me, 5n, deadline, Number(signature.v), signature.r, signature.s]);
  await coin.write('transferFrom', [friend, other, 5n]);
  assert.equal(await coin.read('balanceOf', other), 5n);
  assert.equal(await coin.read('allowance', friend, me), 0n);
});

await step('ERC-721 mints, approves and moves', async () => {
  const card = await deploy(contracts.Card);
  await card.write('mint', [me, 42n, 'https://example.org/42']);
  await card.write('approve', [friend, 42n]);
  await card.write('safeTransferFrom', [me, other, 42n], { from: 1 });
  assert.equal(await card.read('ownerOf', 42n), other);
  assert.equal(await card.read('tokenURI', 42n), 'https://example.org/42');
  await assert.rejects(card.write('transferFrom', [other, me, 42n]), /ERC721InsufficientApproval/);
});

await step('ERC-1155 moves a batch', async () => {
  const items = await deploy(contracts.Items);
  await items.write('mint', [me, [1n, 2n, 3n], [10n, 20n, 30n]]);
  await items.write('safeBatchTransferFrom', [me, friend, [1n, 3n], [4n, 5n], '0x']);
  const left = await items.read('balanceOfBatch', [me, me, me, friend], [1n, 2n, 3n, 3n]);
  assert.deepEqual(left, [6n, 20n, 25n, 5n]);
});

await step('an ERC-4626 vault shares what it gains', async () => {
  const vault = await deploy(contracts.Vault, [coin.address]);
  await coin.write('approve', [vault.address, parseEther('100')]);
  await vault.write('deposit', [100n, me]);
  await coin.write('transfer', [vault.address, 100n]);
  assert.equal(await vault.read('convertToAssets', 100n), 199n);
  await vault.write('redeem', [50n, other, me]);
  assert.equal(await coin.read('balanceOf', other), 5n + 99n);
});

await step('a governor passes and runs a proposal', async () => {
  const council = await deploy(contracts.Council, [coin.address]);
  await coin.write('delegate', [me]);
  await coin.write('transfer', [council.address, 1000n]);
  const data = encodeFunctionData({ abi: coin.abi, functionName: 'transfer', args: [other, 1000n] });
  const proposal = [[coin.address], [0n], [data]];
  await council.write('propose', [...proposal, 'pay']);
  const id = await council.read('hashProposal', ...proposal, keccak256(toHex('pay')));
  await tester.mine({ blocks: 2 });
  await council.write('castVote', [id, 1]);
  assert.equal(await council.read('state', id), 1);
  await tester.mine({ blocks: 6 });
  assert.equal(await council.read('state', id), 4);
  await council.write('execute', [...proposal, keccak256(toHex('pay'))]);
  assert.equal(await coin.read('balanceOf', council.address), 0n);
  assert.equal(await reader.readContract({ ...coin, functionName: 'balanceOf', args: [other] }), 1104n);
});

finish();
