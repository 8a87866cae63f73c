// Hardhat with its viem and Ignition plug-ins, against the node at TANDEM_TEST_URL. The compiler is
// npm's: Hardhat has none of its own and would download one.
import { createRequire } from 'node:module';
import helpers from '@nomicfoundation/hardhat-network-helpers';
import ignition from '@nomicfoundation/hardhat-ignition-viem';
import viem from '@nomicfoundation/hardhat-viem';
import { defineConfig } from 'hardhat/config';

const solc = createRequire(import.meta.url).resolve('solc/soljson.js');

export default defineConfig({
  plugins: [viem, ignition, helpers],
  solidity: { version: '0.8.37', path: solc },
  networks: {
    tandem: { type: 'http', chainType: 'l1', url: process.env.TANDEM_TEST_URL ?? 'http://127.0.0.1:8545' },
  },
});
