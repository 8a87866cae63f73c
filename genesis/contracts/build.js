// Compiles Multicall3.sol to Multicall3.hex, its runtime code. From this folder:
//   npm install --no-save solc@0.8.37 && node build.js
const fs = require("node:fs");
const solc = require("solc");

const output = JSON.parse(
  solc.compile(
    JSON.stringify({
      language: "Solidity",
      sources: { "Multicall3.sol": { content: fs.readFileSync(`${__dirname}/Multicall3.sol`, "utf8") } },
      settings: {
        // London is the first fork with BASEFEE; the code runs on every fork since.
        evmVersion: "london",
        optimizer: { enabled: true, runs: 1000000 },
        metadata: { appendCBOR: false, bytecodeHash: "none" },
        outputSelection: { "*": { "*": ["evm.deployedBytecode.object", "evm.methodIdentifiers"] } },
      },
    }),
  ),
);
for (const problem of output.errors ?? []) {
  console.error(problem.formattedMessage);
  if (problem.severity === "error") process.exit(1);
}
const { evm } = output.contracts["Multicall3.sol"].Multicall3;
fs.writeFileSync(`${__dirname}/Multicall3.hex`, evm.deployedBytecode.object);
console.log(evm.methodIdentifiers);
