// Uniswap V3: a pool through the factory, a position through the manager, swaps and quotes.
import { parseEther } from 'viem';
import { accounts, artifact, assert, at, deploy, finish, reader, step } from './kit.mjs';

const far = 2n ** 40n;
const me = accounts[0].address;
const fee = 3000;
const one = 2n ** 96n;
const core = name => artifact(`@uniswap/v3-core/artifacts/contracts/${name}.sol/${name}.json`);
const periphery = (path, name) => artifact(`@uniswap/v3-periphery/artifacts/contracts/${path}${name}.sol/${name}.json`);
let token0, token1, factory, pool, manager, router, quoter;

await step('the factory creates and starts a pool', async () => {
  const weth = await deploy(artifact('canonical-weth/build/contracts/WETH9.json'));
  const erc20 = artifact('@uniswap/v2-periphery/build/ERC20.json');
  const tokens = [await deploy(erc20, [parseEther('1000000')]), await deploy(erc20, [parseEther('1000000')])];
  [token0, token1] = tokens.sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
  factory = await deploy(core('UniswapV3Factory'));
  manager = await deploy(periphery('', 'NonfungiblePositionManager'), [factory.address, weth.address, me]);
  router = await deploy(periphery('', 'SwapRouter'), [factory.address, weth.address]);
  quoter = await deploy(periphery('lens/', 'QuoterV2'), [factory.address, weth.address]);
  await manager.write('createAndInitializePoolIfNecessary', [token0.address, token1.address, fee, one]);
  pool = at(await factory.read('getPool', token0.address, token1.address, fee), core('UniswapV3Pool').abi);
  const [price, tick] = await pool.read('slot0');
  assert.deepEqual([price, tick], [one, 0]);
  assert.equal(await pool.read('tickSpacing'), 60);
});

await step('a position is minted as a token', async () => {
  for (const token of [token0, token1]) {
    await token.write('approve', [manager.address, 2n ** 256n - 1n]);
    await token.write('approve', [router.address, 2n ** 256n - 1n]);
  }
  await manager.write('mint', [{
    token0: token0.address, token1: token1.address, fee, tickLower: -60, tickUpper: 60,
    amount0Desired: parseEther('1000'), amount1Desired: parseEther('1000'),
    amount0Min: 0n, amount1Min: 0n, recipient: me, deadline: far,
  }]);
  assert.equal(await manager.read('ownerOf', 1n), me);
  const liquidity = await pool.read('liquidity');
  assert.ok(liquidity > parseEther('333000') && liquidity < parseEther('334000'), `${liquidity}`);
});

await step('a swap gives what the quoter said', async () => {
  const amountIn = parseEther('10');
  const { result: quote } = await reader.simulateContract({
    address: quoter.address, abi: quoter.abi, functionName: 'quoteExactInputSingle',
    args: [{ tokenIn: token0.address, tokenOut: token1.address, amountIn, fee, sqrtPriceLimitX96: 0n }],
  });
  const before = await token1.read('balanceOf', accounts[1].address);
  await router.write('exactInputSingle', [{
    tokenIn: token0.address, tokenOut: token1.address, fee, recipient: accounts[1].address, deadline: far,
    amountIn, amountOutMinimum: quote[0], sqrtPriceLimitX96: 0n,
  }]);
  const got = (await token1.read('balanceOf', accounts[1].address)) - before;
  assert.equal(got, quote[0]);
  assert.ok(got > parseEther('9.96') && got < parseEther('9.97'), `${got}`);
  assert.equal((await pool.read('slot0'))[0], quote[1]);
});

await step('fees are collected and the position is burnt', async () => {
  const max = 2n ** 128n - 1n;
  const [, , , , , , , liquidity] = await manager.read('positions', 1n);
  await manager.write('decreaseLiquidity', [{ tokenId: 1n, liquidity, amount0Min: 0n, amount1Min: 0n, deadline: far }]);
  await manager.write('collect', [{ tokenId: 1n, recipient: accounts[2].address, amount0Max: max, amount1Max: max }]);
  await manager.write('burn', [1n]);
  const [balance0, balance1] = await Promise.all([token0, token1].map(token => token.read('balanceOf', accounts[2].address)));
  // 1,000 of the first token, 10 swapped in with their fee: all of it comes back, but for roundings.
  assert.ok(balance0 > parseEther('1009.999999') && balance0 <= parseEther('1010'), `${balance0}`);
  assert.ok(balance1 > parseEther('990') && balance1 < parseEther('991'), `${balance1}`);
  assert.equal(await pool.read('liquidity'), 0n);
});

finish();
