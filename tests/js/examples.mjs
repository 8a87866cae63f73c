// The examples of `contracts/`, each in Solidity and for RISC-V: the same steps over both, in which
// nothing but the machine differs.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { blake3 } from '@noble/hashes/blake3';
import { concat, encodeAbiParameters, encodeFunctionData, getAddress, getContractAddress, hexToBytes, keccak256, maxUint256, numberToHex, parseEther, parseEventLogs, parseSignature, toHex, zeroAddress } from 'viem';
import { accounts, assert, at, chain, deploy, finish, isBuilt, machines, mined, ours, reader, refused, step, wallets } from './kit.mjs';

const [me, friend, other] = accounts.map(account => account.address);
const balance = address => reader.getBalance({ address });
const events = (contract, receipt, eventName) => parseEventLogs({ abi: contract.abi, logs: receipt.logs, eventName }).map(log => log.args);

async function collection(machine) {
  const base = 'https://example.org/collection/';
  const nft = await deploy(ours('Collection', machine), ['Things', 'THG', base]);
  assert.deepEqual([await nft.read('name'), await nft.read('symbol'), await nft.read('owner')], ['Things', 'THG', me]);
  for (const [id, known] of [['0x01ffc9a7', true], ['0x80ac58cd', true], ['0x5b5e139f', true], ['0xffffffff', false]]) {
    assert.equal(await nft.read('supportsInterface', id), known, id);
  }
  const minted = await nft.write('mint', [me]);
  assert.deepEqual(events(nft, minted, 'Transfer'), [{ from: zeroAddress, to: me, id: 1n }]);
  for (let id = 2; id <= 12; id++) await nft.write('mint', [me]);
  await assert.rejects(nft.write('mint', [friend], { from: 1 }), /OwnableUnauthorizedAccount/);
  await assert.rejects(nft.write('mint', [zeroAddress]), /ERC721InvalidReceiver/);
  assert.deepEqual([await nft.read('tokenURI', 1n), await nft.read('tokenURI', 12n)], [`${base}1`, `${base}12`]);
  for (const name of ['tokenURI', 'ownerOf', 'getApproved']) await assert.rejects(nft.read(name, 13n), /ERC721NonexistentToken/);
  await assert.rejects(nft.read('balanceOf', zeroAddress), /ERC721InvalidOwner/);
  // A single approval ends with the transfer, one for all does not.
  await assert.rejects(nft.write('transferFrom', [me, friend, 1n], { from: 1 }), /ERC721InsufficientApproval/);
  await assert.rejects(nft.write('approve', [friend, 1n], { from: 1 }), /ERC721InvalidApprover/);
  await nft.write('approve', [friend, 1n]);
  assert.equal(await nft.read('getApproved', 1n), friend);
  await assert.rejects(nft.write('transferFrom', [other, friend, 1n], { from: 1 }), /ERC721IncorrectOwner/);
  await nft.write('transferFrom', [me, other, 1n], { from: 1 });
  assert.deepEqual([await nft.read('ownerOf', 1n), await nft.read('getApproved', 1n)], [other, zeroAddress]);
  assert.deepEqual([await nft.read('balanceOf', me), await nft.read('balanceOf', other)], [11n, 1n]);
  await assert.rejects(nft.write('setApprovalForAll', [zeroAddress, true]), /ERC721InvalidOperator/);
  await nft.write('setApprovalForAll', [friend, true]);
  await nft.write('safeTransferFrom', [me, friend, 2n], { from: 1 });
  await nft.write('safeTransferFrom', [me, friend, 3n, '0x1234'], { from: 1 });
  assert.equal(await nft.read('balanceOf', friend), 2n);
  // A contract that knows nothing of tokens gets none, unless the sender insists.
  await assert.rejects(nft.write('safeTransferFrom', [me, nft.address, 4n]), /ERC721InvalidReceiver/);
  await nft.write('transferFrom', [me, nft.address, 4n]);
  assert.equal(await nft.read('totalSupply'), 12n);
}

async function exchange(machine) {
  const token = async supply => deploy(ours('Token', machine), ['T', 'T', supply, me]);
  const made = [await token(10n ** 24n), await token(10n ** 24n)];
  const [a, b] = made.sort((x, y) => (BigInt(x.address) < BigInt(y.address) ? -1 : 1));
  // The RISC-V factory copies the pair's code from one that is there; Solidity's has it in its own.
  const template = machine === 'riscv' ? [(await deploy(ours('Pair', machine), [a.address, b.address])).address] : [];
  const factory = await deploy(ours('Exchange', machine), template);
  await assert.rejects(factory.write('createPair', [a.address, a.address]), /IdenticalTokens/);
  await assert.rejects(factory.write('createPair', [a.address, zeroAddress]), /ZeroToken/);
  const receipt = await factory.write('createPair', [b.address, a.address]);
  const [{ pair: address, ...named }] = events(factory, receipt, 'PairCreated');
  assert.deepEqual(named, { token0: a.address, token1: b.address, count: 1n });
  assert.deepEqual([await factory.read('getPair', a.address, b.address), await factory.read('getPair', b.address, a.address)], [address, address]);
  assert.deepEqual([await factory.read('allPairs', 0n), await factory.read('allPairsLength')], [address, 1n]);
  await assert.rejects(factory.write('createPair', [a.address, b.address]), /PairExists/);
  // The address follows from the tokens.
  const tokens = encodeAbiParameters([{ type: 'address' }, { type: 'address' }], [a.address, b.address]);
  const code = concat([ours('Pair', machine).bytecode, tokens]);
  assert.equal(getContractAddress({ opcode: 'CREATE2', from: factory.address, salt: keccak256(tokens), bytecode: code }), address);
  const pair = at(address, ours('Pair', machine).abi);
  assert.deepEqual([await pair.read('token0'), await pair.read('token1')], [a.address, b.address]);

  const lend = async (x, y) => {
    await a.write('transfer', [address, x]);
    await b.write('transfer', [address, y]);
    return pair.write('mint', [me]);
  };
  await a.write('transfer', [address, 10n]);
  await b.write('transfer', [address, 10n]);
  await assert.rejects(pair.write('mint', [me]), /InsufficientLiquidity/);
  const first = await lend(999_990n, 3_999_990n);
  assert.deepEqual(events(pair, first, 'Mint'), [{ to: me, amount0: 1_000_000n, amount1: 4_000_000n }]);
  assert.deepEqual([await pair.read('totalSupply'), await pair.read('balanceOf', me)], [2_000_000n, 1_999_000n]);
  await lend(500_000n, 2_000_000n);
  assert.equal(await pair.read('balanceOf', me), 2_999_000n);
  assert.deepEqual(await pair.read('getReserves'), [1_500_000n, 6_000_000n]);

  const paid = 10_000n;
  const out = (paid * 997n * 6_000_000n) / (1_500_000n * 1000n + paid * 997n);
  await assert.rejects(pair.write('swap', [0n, out, friend]), /InsufficientInput/);
  await a.write('transfer', [address, paid]);
  await assert.rejects(pair.write('swap', [0n, out + 1n, friend]), /InvariantBroken/);
  await assert.rejects(pair.write('swap', [0n, 0n, friend]), /InsufficientInput/);
  await assert.rejects(pair.write('swap', [0n, 6_000_000n, friend]), /InsufficientLiquidity/);
  await assert.rejects(pair.write('swap', [0n, out, a.address]), /InvalidReceiver/);
  const swapped = await pair.write('swap', [0n, out, friend]);
  assert.deepEqual(events(pair, swapped, 'Swap'), [{ sender: me, to: friend, in0: paid, in1: 0n, out0: 0n, out1: out }]);
  assert.equal(await b.read('balanceOf', friend), out);
  assert.deepEqual(await pair.read('getReserves'), [1_500_000n + paid, 6_000_000n - out]);

  await assert.rejects(pair.write('burn', [1n, other], { from: 1 }), /InsufficientLiquidity|InsufficientShares/);
  await assert.rejects(pair.write('burn', [2_999_001n, other]), /InsufficientShares/);
  await pair.write('transfer', [friend, 1_000_000n]);
  const burnt = await pair.write('burn', [1_000_000n, other], { from: 1 });
  const [x, y] = [(1_500_000n + paid) / 3n, (6_000_000n - out) / 3n];
  assert.deepEqual(events(pair, burnt, 'Burn'), [{ to: other, amount0: x, amount1: y }]);
  assert.deepEqual([await a.read('balanceOf', other), await b.read('balanceOf', other)], [x, y]);
  assert.equal(await pair.read('totalSupply'), 2_000_000n);
}

const inOrder = signers => [...signers].sort((x, y) => (BigInt(x.address) < BigInt(y.address) ? -1 : 1));

async function multisig(machine) {
  const owners = accounts.slice(0, 3);
  const addresses = owners.map(owner => owner.address);
  const wallet = await deploy(ours('Multisig', machine), [addresses, 2n]);
  await mined(wallets[0].sendTransaction({ to: wallet.address, value: parseEther('1') }));
  assert.deepEqual(await wallet.read('owners'), addresses);
  const signed = async (signers, to, value, data, nonce) => {
    const hash = await wallet.read('transactionHash', to, value, data, nonce);
    return Promise.all(inOrder(signers).map(signer => signer.sign({ hash })));
  };
  // What the contract hashes is EIP-712's typed data.
  const typed = await owners[0].signTypedData({
    domain: { chainId: chain.id, verifyingContract: wallet.address },
    types: { Transaction: [{ name: 'to', type: 'address' }, { name: 'value', type: 'uint256' }, { name: 'data', type: 'bytes' }, { name: 'nonce', type: 'uint256' }] },
    primaryType: 'Transaction',
    message: { to: friend, value: 5n, data: '0x123456', nonce: 0n },
  });
  assert.equal(typed, (await signed([owners[0]], friend, 5n, '0x123456', 0n))[0]);
  const heir = '0x00000000000000000000000000000000000000cc';
  const before = await balance(heir);
  const two = await signed([owners[0], owners[2]], heir, 77n, '0x', 0n);
  await assert.rejects(wallet.write('execute', [heir, 77n, '0x', two.slice(1)], { from: 4 }), /TooFewSignatures/);
  await assert.rejects(wallet.write('execute', [heir, 77n, '0x', [two[0], two[0]]], { from: 4 }), /BadSignature/);
  await assert.rejects(wallet.write('execute', [heir, 77n, '0x', [two[1], two[0]]], { from: 4 }), /BadSignature/);
  await assert.rejects(wallet.write('execute', [heir, 78n, '0x', two], { from: 4 }), /BadSignature/);
  const stranger = await signed([owners[0], accounts[3]], heir, 77n, '0x', 0n);
  await assert.rejects(wallet.write('execute', [heir, 77n, '0x', stranger], { from: 4 }), /BadSignature/);
  const done = await wallet.write('execute', [heir, 77n, '0x', two], { from: 4 });
  const hash = await wallet.read('transactionHash', heir, 77n, '0x', 0n);
  assert.deepEqual(events(wallet, done, 'Executed'), [{ hash, to: heir, value: 77n, nonce: 0n }]);
  assert.equal(await balance(heir) - before, 77n);
  await assert.rejects(wallet.write('execute', [heir, 77n, '0x', two]), /BadSignature/);
  // A call that fails undoes the nonce; its reason comes along.
  const bad = encodeFunctionData({ abi: wallet.abi, functionName: 'setOwners', args: [addresses, 9n] });
  await assert.rejects(wallet.write('execute', [wallet.address, 0n, bad, await signed(owners, wallet.address, 0n, bad, 1n)]), /CallFailed/);
  await assert.rejects(wallet.write('setOwners', [addresses, 1n]), /OnlySelf/);
  const change = encodeFunctionData({ abi: wallet.abi, functionName: 'setOwners', args: [[accounts[3].address], 1n] });
  await wallet.write('execute', [wallet.address, 0n, change, await signed(owners.slice(1), wallet.address, 0n, change, 1n)]);
  assert.deepEqual([await wallet.read('owners'), await wallet.read('threshold'), await wallet.read('nonce')], [[accounts[3].address], 1n, 2n]);
  assert.deepEqual([await wallet.read('isOwner', me), await wallet.read('isOwner', accounts[3].address)], [false, true]);
  // ERC-1271.
  const digest = keccak256('0xabcd');
  const good = await accounts[3].sign({ hash: digest });
  assert.equal(await wallet.read('isValidSignature', digest, good), '0x1626ba7e');
  for (const bad of ['0x', good.slice(0, -2), `${good}00`, await owners[0].sign({ hash: digest })]) {
    assert.equal(await wallet.read('isValidSignature', digest, bad), '0xffffffff', bad);
  }
  const ctor = (args, error) => refused(ours('Multisig', machine), args, error);
  await ctor([[], 0n], 'BadThreshold');
  await ctor([[me], 2n], 'BadThreshold');
  await ctor([[me, me], 1n], 'BadOwners');
  await ctor([[zeroAddress], 1n], 'BadOwners');
}

const pairHash = (a, b) => keccak256(BigInt(a) < BigInt(b) ? concat([a, b]) : concat([b, a]));

/** A Merkle tree's root and the proof of each leaf; `join` hashes two nodes. */
function tree(leaves, join) {
  let level = leaves;
  const proofs = leaves.map(() => []);
  for (let width = 1; level.length > 1; width *= 2) {
    leaves.forEach((_, i) => proofs[i].push(level[Math.floor(i / width) ^ 1]));
    level = Array.from({ length: level.length / 2 }, (_, i) => join(level[2 * i], level[2 * i + 1]));
  }
  return { root: level[0], proofs };
}

async function claims(machine) {
  const leaf = (...values) => keccak256(keccak256(encodeAbiParameters([{ type: 'uint256' }, { type: 'address' }, { type: 'uint256' }], values)));
  const heirs = Array.from({ length: 8 }, (_, i) => getAddress(numberToHex(0xfeed0000n + BigInt(i), { size: 20 })));
  const { root, proofs } = tree(heirs.map((heir, i) => leaf(BigInt(i), heir, BigInt(i + 1))), pairHash);
  const issuer = accounts[3];
  const { abi, bytecode } = ours('Claims', machine);
  const receipt = await mined(wallets[0].deployContract({ abi, bytecode, args: [root, issuer.address], value: 1000n }));
  const contract = at(receipt.contractAddress, abi);
  assert.deepEqual([await contract.read('root'), await contract.read('issuer')], [root, issuer.address]);
  const before = await balance(heirs[5]);
  const args = [5n, heirs[5], 6n, proofs[5]];
  assert.equal(await contract.read('verify', ...args), true);
  assert.equal(await contract.read('verify', 4n, heirs[5], 6n, proofs[5]), false);
  await assert.rejects(contract.write('claim', [5n, heirs[5], 7n, proofs[5]]), /InvalidProof/);
  await assert.rejects(contract.write('claim', [5n, heirs[5], 6n, proofs[4]]), /InvalidProof/);
  await assert.rejects(contract.write('claim', [5n, heirs[5], 6n, []]), /InvalidProof/);
  const done = await contract.write('claim', args);
  assert.deepEqual(events(contract, done, 'Claimed'), [{ account: heirs[5], amount: 6n }]);
  assert.deepEqual([await contract.read('isClaimed', 5n), await contract.read('isClaimed', 4n)], [true, false]);
  await assert.rejects(contract.write('claim', args), /AlreadyClaimed/);
  assert.equal(await balance(heirs[5]) - before, 6n);
  const voucher = async (signer, number) => {
    const signature = await signer.signTypedData({
      domain: { chainId: chain.id, verifyingContract: contract.address },
      types: { Voucher: [{ name: 'account', type: 'address' }, { name: 'amount', type: 'uint256' }, { name: 'number', type: 'uint256' }] },
      primaryType: 'Voucher',
      message: { account: heirs[0], amount: 9n, number },
    });
    const { r, s, v } = parseSignature(signature);
    return [heirs[0], 9n, number, Number(v), r, s];
  };
  await contract.write('redeem', await voucher(issuer, 1n));
  await assert.rejects(contract.write('redeem', await voucher(issuer, 1n)), /AlreadyClaimed/);
  await assert.rejects(contract.write('redeem', await voucher(accounts[2], 2n)), /InvalidSignature/);
  // The other signature of the same key and hash, which a careless contract takes for a new one.
  const [account, amount, number, v, r, s] = await voucher(issuer, 2n);
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const flipped = [account, amount, number, 55 - v, r, numberToHex(order - BigInt(s), { size: 32 })];
  await assert.rejects(contract.write('redeem', flipped), /InvalidSignature/);
  await contract.write('redeem', [account, amount, number, v, r, s]);
}

const hash3 = hex => toHex(blake3(hexToBytes(hex)));

async function crunch(machine) {
  const contract = await deploy(ours('Crunch', machine));
  const read = (functionName, ...args) => reader.readContract({ ...contract, functionName, args, gas: 500_000_000n });
  const data = length => toHex(Uint8Array.from({ length }, (_, i) => i % 251));
  for (const length of [0, 1, 31, 32, 33, 63, 64, 65, 127, 1023, 1024, 1025, 2048, 3073, 5000]) {
    assert.equal(await read('blake3', length ? data(length) : '0x'), hash3(length ? data(length) : '0x'), `${length} bytes`);
  }
  const leaves = Array.from({ length: 16 }, (_, i) => hash3(numberToHex(i, { size: 32 })));
  const { root, proofs } = tree(leaves, (a, b) => hash3(concat([a, b])));
  assert.equal(await read('verifyBlake3', root, leaves[11], 11n, proofs[11]), true);
  assert.equal(await read('verifyBlake3', root, leaves[11], 10n, proofs[11]), false);
  for (const message of ['', 'abc', 'x'.repeat(47), 'x'.repeat(48), 'x'.repeat(300)]) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const key = toHex(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
    const bytes = Buffer.from(message);
    const signature = sign(null, bytes, privateKey);
    const [r, s] = [toHex(signature.subarray(0, 32)), toHex(signature.subarray(32))];
    const text = bytes.length ? toHex(bytes) : '0x';
    assert.equal(await read('verifyEd25519', key, r, s, text), true, message);
    assert.equal(await read('verifyEd25519', key, r, s, concat([text, '0x00'])), false);
    assert.equal(await read('verifyEd25519', key, s, s, text), false);
    // A scalar that is not reduced is another signature of the same message: refused.
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const scalar = BigInt(toHex(Uint8Array.from(signature.subarray(32)).reverse())) + order;
    const loose = toHex(hexToBytes(numberToHex(scalar, { size: 32 })).reverse());
    assert.equal(await read('verifyEd25519', key, r, loose, text), false);
    assert.equal(await read('verifyEd25519', toHex(createHash('sha256').update(bytes).digest()), r, s, text), false);
  }
  let [x, y] = [0n, 1n];
  for (let n = 0; n <= 2000; n++) {
    if ([0, 1, 2, 90, 369, 370, 371, 2000].includes(n)) {
      const length = Math.max(32, Math.ceil(x.toString(16).length / 64) * 32);
      assert.equal(await read('fibonacci', BigInt(n)), keccak256(numberToHex(x, { size: length })), `Fibonacci ${n}`);
    }
    [x, y] = [y, x + y];
  }
  const numbers = [];
  let seed = 42n;
  for (let i = 0; i < 300; i++) {
    seed ^= (seed << 13n) & 0xffffffffffffffffn;
    seed ^= seed >> 7n;
    seed ^= (seed << 17n) & 0xffffffffffffffffn;
    numbers.push(seed);
  }
  const ordered = [...numbers].sort((a, b) => (a < b ? -1 : 1));
  assert.deepEqual(await read('sortRandom', 42n, 300n), [ordered[0], ordered[150], ordered[299]]);
  assert.deepEqual(await read('sorted', numbers), ordered);
  assert.deepEqual(await read('sorted', []), []);
  const few = [5n, 5n, 1n, maxUint256 >> 192n, 0n, 5n];
  assert.deepEqual(await read('sorted', few), [0n, 1n, 5n, 5n, 5n, maxUint256 >> 192n]);
  await assert.rejects(read('sortRandom', 1n, 0n), /out of bounds|Panic|revert/);
}

for (const machine of process.env.MACHINES?.split(',') ?? machines) {
  await step(`the ${machine} ERC-721`, () => collection(machine));
  await step(`the ${machine} exchange`, () => exchange(machine));
  await step(`the ${machine} multisig wallet`, () => multisig(machine));
  await step(`the ${machine} claims`, () => claims(machine));
  if (machine === 'evm' || isBuilt('crunch')) await step(`the ${machine} heavy work`, () => crunch(machine));
}

finish();
