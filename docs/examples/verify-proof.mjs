// Verifies an account and its slots against a block's hash, without trusting the node that answers.
//
//   npm install viem @noble/hashes@1
//   node verify-proof.mjs URL BLOCK_HASH ADDRESS [SLOT..]
//
// BLOCK_HASH is what you trust: from a node of your own, a signed message, another chain. The node
// at URL then gives the header, which must have this hash, and the proof, which must lead from the
// header's state root to what it says. docs/spec/proofs.md describes every byte.
import { pathToFileURL } from 'node:url';
import { blake3 } from '@noble/hashes/blake3';
import { bytesToBigInt, bytesToHex, concat, fromRlp, hexToBytes, keccak256, numberToBytes, pad } from 'viem';

const EMPTY_ROOT = `0x${'00'.repeat(32)}`;
const NO_CODE = keccak256('0x');
const BITS_MAX = 528;

/** The hashes that a chain's tree may have; which one, its genesis says. */
export const hashes = {
  blake3: (bytes) => bytesToHex(blake3(bytes)),
  keccak256: (bytes) => keccak256(bytes),
};

/** The state root in a header, if the header is that of the block with this hash. */
export function stateRoot(header, blockHash) {
  if (keccak256(header) !== blockHash.toLowerCase()) throw new Error('the header is not that of the block');
  return fromRlp(header)[3];
}

const bit = (bytes, index) => (bytes[index >> 3] >> (7 - (index & 7))) & 1;

/** Reads a node: a leaf with key and value, or a branch with its bits and its two sides. */
function parse(bytes) {
  if (bytes[0] === 0 && bytes.length > 33) {
    return { key: bytes.subarray(1, -32), value: bytesToHex(bytes.subarray(-32)) };
  }
  if (bytes[0] !== 1 || bytes.length < 67) throw new Error('a node is neither a leaf nor a branch');
  const count = (bytes[1] << 8) | bytes[2];
  const size = Math.ceil(count / 8);
  const bits = bytes.subarray(3, 3 + size);
  if (bytes.length !== 3 + size + 64) throw new Error('a branch has the wrong size');
  for (let i = count; i < size * 8; i++) if (bit(bits, i)) throw new Error('a branch is padded with ones');
  const hash = (at) => bytesToHex(bytes.subarray(3 + size + at, 3 + size + at + 32));
  return { count, bits, sides: [hash(0), hash(32)] };
}

/** The values of the leaves at `keys`, which ascend; `undefined` for those that are proven absent. */
export function verify(hash, root, keys, proof) {
  const values = new Map();
  let used = 0;
  const check = (expected, from, keys) => {
    if (used === proof.length) throw new Error('the proof ends too early');
    const bytes = hexToBytes(proof[used++]);
    if (hash(bytes) !== expected) throw new Error('a node has another hash than its parent says');
    const node = parse(bytes);
    if (node.key) {
      for (let i = 0; i < from; i++) {
        if (bit(node.key, i) !== bit(keys[0], i)) throw new Error('a leaf is in the wrong place');
      }
      const own = bytesToHex(node.key);
      for (const key of keys) if (bytesToHex(key) === own) values.set(own, node.value);
      return;
    }
    const split = from + node.count;
    if (split >= BITS_MAX) throw new Error('a branch is too deep');
    const sides = [[], []];
    for (const key of keys) {
      let below = split < key.length * 8;
      for (let i = 0; below && i < node.count; i++) below = bit(key, from + i) === bit(node.bits, i);
      if (below) sides[bit(key, split)].push(key);
    }
    sides.forEach((keys, side) => keys.length > 0 && check(node.sides[side], split + 1, keys));
  };
  if (root !== EMPTY_ROOT) check(root, 0, keys);
  if (used < proof.length) throw new Error('the proof goes on after its end');
  return keys.map((key) => values.get(bytesToHex(key)));
}

const join = (...parts) => hexToBytes(concat(parts.map((part) => (typeof part === 'string' ? part : bytesToHex(part)))));
const stem = (hash, address) => hash(hexToBytes(pad(address)));
const headerKey = (hash, address, field) => join('0x00', stem(hash, address), Uint8Array.of(field));

function slotKey(hash, address, slot) {
  if (slot < 64n) return headerKey(hash, address, 64 + Number(slot));
  const group = hash(join(pad(address), numberToBytes(slot >> 8n, { size: 32 })));
  return join('0xff', stem(hash, address), group, Uint8Array.of(Number(slot & 255n)));
}

/** What `accountProof` proves of an account; `null` if there is none. */
export function verifyAccount(hash, root, address, proof) {
  const keys = [0, 1, 2].map((field) => headerKey(hash, address, field));
  const [basic, codeHash, delegation] = verify(hash, root, keys, proof);
  if (!basic && !codeHash && !delegation) return null;
  if (!codeHash === !delegation) throw new Error('the leaves are no account');
  if (delegation && !/^0xef0100.{40}0{18}$/.test(delegation)) throw new Error('the delegation is none');
  const bytes = hexToBytes(basic ?? EMPTY_ROOT);
  if (bytes.subarray(0, 4).some((byte) => byte !== 0)) throw new Error('basic data of an unknown version');
  return {
    nonce: bytesToBigInt(bytes.subarray(8, 16)),
    balance: bytesToBigInt(bytes.subarray(16)),
    codeHash: codeHash ?? keccak256(delegation.slice(0, 2 + 46)),
  };
}

/** What the proof of a slot proves. */
export function verifySlot(hash, root, address, slot, proof) {
  const [value] = verify(hash, root, [slotKey(hash, address, slot)], proof);
  return BigInt(value ?? 0);
}

/** Verifies all of an answer of `eth_getProof`: what it says has to be what it proves. */
export function verifyAnswer(hash, root, address, slots, answer) {
  const proven = verifyAccount(hash, root, address, answer.accountProof);
  const { nonce, balance, codeHash } = proven ?? { nonce: 0n, balance: 0n, codeHash: NO_CODE };
  const said = [BigInt(answer.nonce), BigInt(answer.balance), answer.codeHash];
  if (said.some((value, i) => value !== [nonce, balance, codeHash][i])) throw new Error('the account is not as it says');
  if (answer.storageProof.length !== slots.length) throw new Error('not the slots that were asked for');
  const values = slots.map((slot, i) => {
    const { value, proof } = answer.storageProof[i];
    const proven = verifySlot(hash, root, address, slot, proof);
    if (proven !== BigInt(value)) throw new Error(`slot ${slot} is not as it says`);
    return proven;
  });
  return { exists: proven !== null, nonce, balance, codeHash, values };
}

/** One JSON-RPC call. */
export async function call(url, method, ...params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const headers = { 'content-type': 'application/json' };
  const { result, error } = await (await fetch(url, { method: 'POST', headers, body })).json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

async function main([url, blockHash, address, ...slots]) {
  const hash = hashes[process.env.TREE_HASH ?? 'blake3'];
  const numbers = slots.map(BigInt);
  const root = stateRoot(await call(url, 'debug_getRawHeader', blockHash), blockHash);
  const keys = numbers.map((slot) => `0x${slot.toString(16)}`);
  const answer = await call(url, 'eth_getProof', address, keys, blockHash);
  const { exists, nonce, balance, codeHash, values } = verifyAnswer(hash, root, address, numbers, answer);
  console.log(`block     ${blockHash}\nstate     ${root}\naccount   ${address}${exists ? '' : ' (not there)'}`);
  console.log(`nonce     ${nonce}\nbalance   ${balance} wei\ncode hash ${codeHash}`);
  values.forEach((value, i) => console.log(`slot ${numbers[i]} = 0x${value.toString(16)}`));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.length < 5) throw new Error('usage: node verify-proof.mjs URL BLOCK_HASH ADDRESS [SLOT..]');
  await main(process.argv.slice(2));
}
