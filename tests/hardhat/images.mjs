// The repository's contracts for both machines, as artifacts: one ABI, two kinds of init code.
import { readFileSync } from 'node:fs';

const file = name => readFileSync(new URL(`../images/${name}`, import.meta.url));
const elves = { Token: 'erc20', PingPong: 'pingpong', Factory: 'factory' };

/** An ELF file. */
export const image = name => file(`${elves[name]}.elf`);

/** Solidity's output. */
export const evm = name => {
  const { contractName, sourceName, abi, bytecode, deployedBytecode } = JSON.parse(file(`${name}.json`));
  return { contractName, sourceName, abi, bytecode, deployedBytecode, linkReferences: {}, deployedLinkReferences: {} };
};

/** The same ABI over RISC-V init code: magic and version, the image's length and the image. */
export const riscv = name => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(image(name).length);
  const bytecode = `0x${Buffer.concat([Buffer.from('ef525601', 'hex'), length, image(name)]).toString('hex')}`;
  return { ...evm(name), contractName: `${name}Riscv`, bytecode };
};
