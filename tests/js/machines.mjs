// The repository's contracts for both machines: one ABI, two kinds of init code.
import { readFileSync } from 'node:fs';

// `tests/js` and the folder it is copied to are equally deep in the repository.
const file = name => readFileSync(new URL(`../../contracts/images/${name}`, import.meta.url));
const elves = { Token: 'erc20', PingPong: 'pingpong', Factory: 'factory' };

/** The ways to deploy a contract: Solidity's by a creation, RISC-V by a creation and by `rv_deploy`. */
export const ways = ['EVM', 'RISC-V', 'rv_deploy'];

/** The token's constructor's arguments, but for the owner, who gets all of it. */
export const token = ['Tandem Token', 'TDM', 1_000_000n];

/** An ELF file, in hex. */
export const image = name => `0x${file(`${elves[name]}.elf`).toString('hex')}`;

/** Solidity's ABI and init code. */
export const evm = name => {
  const { abi, bytecode } = JSON.parse(file(`${name}.json`));
  return { abi, bytecode };
};

/** The same ABI over a container: magic and version, the image's length and the image. */
export const riscv = name => {
  const elf = image(name).slice(2);
  return { ...evm(name), bytecode: `0xef525601${(elf.length / 2).toString(16).padStart(8, '0')}${elf}` };
};
