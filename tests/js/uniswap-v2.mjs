// WETH9 and Uniswap V2: a pair through the factory, liquidity and swaps through the router.
import { decodeEventLog, keccak256, parseEther } from 'viem';
import { accounts, artifact, assert, at, deploy, finish, reader, step } from './kit.mjs';

const far = 2n ** 40n;
const me = accounts[0].address;
const pairAbi = artifact('@uniswap/v2-core/build/UniswapV2Pair.json');
let weth, token, factory, router, pair;

await step('WETH9 wraps, moves and unwraps', async () => {
  weth = await deploy(artifact('canonical-weth/build/contracts/WETH9.json'));
  await weth.write('deposit', [], { value: parseEther('100') });
  assert.equal(await weth.read('balanceOf', me), parseEther('100'));
  await weth.write('transfer', [accounts[1].address, parseEther('3')]);
  await weth.write('withdraw', [parseEther('1')], { from: 1 });
  assert.equal(await weth.read('balanceOf', accounts[1].address), parseEther('2'));
  assert.equal(await weth.read('totalSupply'), parseEther('99'));
  assert.equal(await reader.getBalance({ address: weth.address }), parseEther('99'));
});

await step('the factory creates a pair at its CREATE2 address', async () => {
  token = await deploy(artifact('@uniswap/v2-periphery/build/ERC20.json'), [parseEther('1000000')]);
  factory = await deploy(artifact('@uniswap/v2-core/build/UniswapV2Factory.json'), [me]);
  router = await deploy(artifact('@uniswap/v2-periphery/build/UniswapV2Router02.json'), [factory.address, weth.address]);
  await factory.write('createPair', [token.address, weth.address]);
  pair = at(await factory.read('getPair', weth.address, token.address), pairAbi.abi);
  assert.equal(await factory.read('allPairsLength'), 1n);
  assert.equal(await pair.read('factory'), factory.address);
  // The router computes the pair's address from this hash: https://docs.uniswap.org/contracts/v2
  assert.equal(keccak256(pairAbi.bytecode), '0x96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f');
});

await step('the router adds liquidity', async () => {
  await token.write('approve', [router.address, 2n ** 256n - 1n]);
  const receipt = await router.write(
    'addLiquidityETH',
    [token.address, parseEther('4000'), 0n, 0n, me, far],
    { value: parseEther('10') },
  );
  assert.equal(await pair.read('totalSupply'), parseEther('200'));
  assert.equal(await pair.read('balanceOf', me), parseEther('200') - 1000n);
  const mint = receipt.logs
    .filter(log => log.address.toLowerCase() === pair.address.toLowerCase())
    .map(log => decodeEventLog({ abi: pairAbi.abi, ...log }))
    .find(event => event.eventName === 'Mint');
  assert.equal(mint.args.sender, router.address);
});

await step('a swap follows the constant product', async () => {
  const amountIn = parseEther('1');
  const [, quoted] = await router.read('getAmountsOut', amountIn, [weth.address, token.address]);
  const withFee = amountIn * 997n;
  assert.equal(quoted, (withFee * parseEther('4000')) / (parseEther('10') * 1000n + withFee));
  const before = await token.read('balanceOf', accounts[2].address);
  await router.write('swapExactETHForTokens', [quoted, [weth.address, token.address], accounts[2].address, far], { value: amountIn });
  assert.equal(await token.read('balanceOf', accounts[2].address), before + quoted);
});

await step('a swap below its minimum reverts with the reason', async () => {
  const path = [weth.address, token.address];
  await assert.rejects(
    router.write('swapExactETHForTokens', [parseEther('4000'), path, me, far], { value: 1n }),
    /UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT/,
  );
});

await step('liquidity is taken out again', async () => {
  await pair.write('approve', [router.address, 2n ** 256n - 1n]);
  const share = parseEther('50');
  await router.write('removeLiquidityETH', [token.address, share, 0n, 0n, accounts[3].address, far]);
  assert.equal(await pair.read('balanceOf', me), parseEther('150') - 1000n);
  const [reserve0, reserve1] = await pair.read('getReserves');
  const reserves = (await pair.read('token0')) === weth.address ? [reserve0, reserve1] : [reserve1, reserve0];
  assert.equal(reserves[0], await weth.read('balanceOf', pair.address));
  assert.equal(reserves[1], await token.read('balanceOf', pair.address));
});

finish();
