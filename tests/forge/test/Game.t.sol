// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {PingPong} from "../src/PingPong.sol";

/// forge runs these on its own EVM: they show that project and compiler are in order.
contract GameTest {
    function testTwoPlayersOfOneKind() external {
        PingPong one = new PingPong();
        PingPong two = new PingPong();
        one.play(two, 3);
        require(one.hits() == 2 && two.hits() == 2, "hits");
    }
}
