import { buildModule } from '@nomicfoundation/hardhat-ignition/modules';
import { riscv } from '../../images.mjs';

/** A player in Solidity and one for RISC-V: Ignition sends its init code as it sends any other. */
export default buildModule('Players', module => {
  const player = module.contract('PingPong', []);
  const other = module.contract('PingPongRiscv', riscv('PingPong'), []);
  const game = module.call(player, 'play', [other, 4n]);
  module.call(player, 'survive', [other, 3n], { after: [game] });
  return { player, other };
});
