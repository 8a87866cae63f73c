// Compiles the Solidity twins to contracts/images/*.json.
//   npm install --no-save solc@0.8.37 && node contracts/compile.mjs
// With --check nothing is written: it fails if a file would change.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const COMPILER = "0.8.37";
const SOURCES = {
  Token: "erc20/Token.sol",
  PingPong: "pingpong/PingPong.sol",
  Factory: "factory/Factory.sol",
  Ledger: "patterns/Ledger.sol",
  Bank: "patterns/Bank.sol",
  Thief: "patterns/Thief.sol",
  Trouble: "patterns/Trouble.sol",
  Catcher: "patterns/Catcher.sol",
  Account: "patterns/Account.sol",
  Collection: "collection/Collection.sol",
  Pair: "exchange/Exchange.sol",
  Exchange: "exchange/Exchange.sol",
  Multisig: "multisig/Multisig.sol",
  Claims: "claims/Claims.sol",
  Crunch: "crunch/Crunch.sol",
};
/** What they import. */
const LIBRARIES = ["crunch/Blake3.sol", "crunch/Ed25519.sol"];

const here = dirname(fileURLToPath(import.meta.url));
// Found from where the command runs, so that nothing has to be installed here.
const solc = createRequire(join(process.cwd(), "package.json"))("solc");
if (!solc.version().startsWith(`${COMPILER}+`)) {
  throw new Error(`solc ${COMPILER} is needed, this is ${solc.version()}`);
}

const input = {
  language: "Solidity",
  sources: Object.fromEntries(
    [...Object.values(SOURCES), ...LIBRARIES].map((path) => [path, { content: readFileSync(join(here, path), "utf8") }]),
  ),
  settings: {
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 200 },
    metadata: { appendCBOR: false, bytecodeHash: "none" },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const { formattedMessage } of output.errors ?? []) console.error(formattedMessage);
if (output.errors?.some(({ severity }) => severity === "error")) process.exit(1);

let stale = 0;
for (const [name, path] of Object.entries(SOURCES)) {
  const { abi, evm } = output.contracts[path][name];
  const artifact = {
    contractName: name,
    sourceName: path,
    compiler: `solc ${COMPILER}, optimizer 200 runs, ${input.settings.evmVersion}`,
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
  };
  const text = `${JSON.stringify(artifact, null, 2)}\n`;
  const file = join(here, "images", `${name}.json`);
  if (process.argv.includes("--check")) {
    if (readFileSync(file, "utf8") !== text) {
      console.error(`contracts/images/${name}.json is not what contracts/${path} compiles to`);
      stale += 1;
    }
  } else {
    writeFileSync(file, text);
    console.log(`${name}: ${evm.deployedBytecode.object.length / 2} bytes of code`);
  }
}
process.exit(stale ? 1 : 0);
