import { readFileSync } from 'node:fs'
import { createTestClient, http, publicActions, walletActions, encodeAbiParameters, getContract, parseEther } from 'viem'
import { foundry } from 'viem/chains'

const client = createTestClient({ chain: foundry, mode: 'anvil', transport: http(process.env.ETH_RPC_URL) })
  .extend(publicActions).extend(walletActions)
const [alice, bob] = await client.getAddresses()
const abi = JSON.parse(readFileSync('contracts/images/erc20.abi.json', 'utf8'))
const image = `0x${readFileSync('contracts/images/erc20.elf', 'hex')}`
const args = encodeAbiParameters(
  [{ type: 'string' }, { type: 'string' }, { type: 'uint256' }, { type: 'address' }],
  ['Tandem', 'TDM', parseEther('1000'), alice])

const { address } = await client.request({ method: 'rv_deploy', params: [{ image, args, from: alice }] })
const token = getContract({ address, abi, client })
const hash = await token.write.transfer([bob, 5000n], { account: alice })
const receipt = await client.waitForTransactionReceipt({ hash })
console.log(await token.read.symbol(), receipt.status, await token.read.balanceOf([bob]))
