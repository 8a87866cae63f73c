//! Chains of calls that alternate between the machines.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolError, sol};

use crate::chain::{ALICE, Chain, KINDS, Kind, Source};

const PING_PONG: Source = Source {
    image: include_bytes!("../../../contracts/images/pingpong.elf"),
    artifact: include_str!("../../../contracts/images/PingPong.json"),
};

sol! {
    #[derive(Debug, PartialEq)]
    interface PingPong {
        function play(address peer, uint256 depth) payable returns (uint256);
        function fail(address peer, uint256 depth) returns (uint256);
        function survive(address peer, uint256 depth) returns (bytes);
        function score(address peer) view returns (uint256, uint256);
        function call(address target, bytes data) payable returns (bytes);
        function staticCall(address target, bytes data) view returns (bytes);
        function delegateCall(address target, bytes data) payable returns (bytes);
        function hits() view returns (uint256);
        function sum() view returns (uint256);
        function lastCaller() view returns (address);

        event Hit(address indexed by, uint256 indexed depth, uint256 hits, uint256 value);
        event Caught(address indexed peer, bytes reason);

        error Bottom(address player, uint256 hits);
    }
}

use PingPong::*;

fn n(number: u64) -> U256 {
    U256::from(number)
}

/// All pairs of players: the first is called by the transaction.
fn pairs() -> impl Iterator<Item = (String, Chain, Address, Address)> {
    let pairs = KINDS.into_iter().flat_map(|first| KINDS.map(|second| (first, second)));
    pairs.map(|(first, second)| {
        let mut chain = Chain::new();
        let mut player = |kind: Kind| chain.deploy(&PING_PONG, kind, &[]);
        let (ping, pong) = (player(first), player(second));
        (format!("{first:?} and {second:?}"), chain, ping, pong)
    })
}

#[test]
fn players_hit_each_other_to_any_depth() {
    for (pair, mut chain, ping, pong) in pairs() {
        let done = chain.send_wei(ALICE, ping, &playCall { peer: pong, depth: n(9) }, 7);
        assert_eq!(done.answer::<playCall>(), n(10), "{pair}");
        println!("{pair}, ten hits: {} gas", done.gas());
        // Every frame's event, in order, with who called it.
        let players = [ALICE, ping, pong];
        for (i, log) in done.logs().iter().enumerate() {
            let (at, by) = match i {
                0 => (ping, ALICE),
                _ if i % 2 == 1 => (pong, ping),
                _ => (ping, pong),
            };
            let hit = Hit { by, depth: n(9 - i as u64), hits: n(i as u64 / 2 + 1), value: n(7) };
            assert_eq!(log.address, at, "{pair}: {players:?}");
            assert_eq!(alloy_sol_types::SolEvent::encode_log_data(&hit), log.data, "{pair}");
        }
        for (player, sum) in [(ping, 9 + 7 + 5 + 3 + 1), (pong, 8 + 6 + 4 + 2)] {
            assert_eq!(chain.ask(player, &hitsCall {}), n(5), "{pair}");
            assert_eq!(chain.ask(player, &sumCall {}), n(sum), "{pair}");
        }
        let score = chain.ask(ping, &scoreCall { peer: pong });
        assert_eq!((score._0, score._1), (n(5), n(5)), "{pair}");
        // The wei went all the way.
        assert_eq!((chain.balance(ping), chain.balance(pong)), (n(0), n(7)), "{pair}");
    }
}

#[test]
fn an_error_comes_up_through_all_frames() {
    for (pair, mut chain, ping, pong) in pairs() {
        let done = chain.send(ALICE, ping, &failCall { peer: pong, depth: n(5) });
        done.failed_with(&Bottom { player: pong, hits: n(3) });
        assert_eq!(chain.ask(ping, &hitsCall {}), n(0), "{pair}");
        assert_eq!(chain.ask(pong, &hitsCall {}), n(0), "{pair}");
    }
}

#[test]
fn a_caught_error_leaves_the_catcher_as_it_was() {
    for (pair, mut chain, ping, pong) in pairs() {
        let done = chain.send(ALICE, ping, &surviveCall { peer: pong, depth: n(4) });
        let reason = Bytes::from(Bottom { player: pong, hits: n(3) }.abi_encode());
        assert_eq!(done.answer::<surviveCall>(), reason, "{pair}");
        assert_eq!(done.logs().len(), 2, "{pair}");
        let caught = Caught { peer: pong, reason };
        let data = alloy_sol_types::SolEvent::encode_log_data(&caught);
        assert_eq!(done.logs()[1].data, data, "{pair}");
        assert_eq!(chain.ask(ping, &hitsCall {}), n(1), "{pair}");
        assert_eq!(chain.ask(pong, &hitsCall {}), n(0), "{pair}");
    }
}

#[test]
fn delegated_code_runs_over_the_callers_state() {
    for (pair, mut chain, proxy, code) in pairs() {
        let data = Bytes::from(playCall { peer: code, depth: n(0) }.abi_encode());
        let call = delegateCallCall { target: code, data };
        let done = chain.send_wei(ALICE, proxy, &call, 3);
        let hit = Hit { by: ALICE, depth: n(0), hits: n(1), value: n(3) };
        assert_eq!(done.event::<Hit>(), hit, "{pair}");
        assert_eq!(done.logs()[0].address, proxy, "{pair}");
        // Both have one layout: what the one's code wrote, the other's reads.
        assert_eq!(chain.ask(proxy, &hitsCall {}), n(1), "{pair}");
        assert_eq!(chain.ask(proxy, &lastCallerCall {}), ALICE, "{pair}");
        assert_eq!(chain.ask(code, &hitsCall {}), n(0), "{pair}");
    }
}

#[test]
fn a_static_call_may_read_and_not_write() {
    for (pair, mut chain, ping, pong) in pairs() {
        let hits = Bytes::from(hitsCall {}.abi_encode());
        let answer = chain.ask(ping, &staticCallCall { target: pong, data: hits.clone() });
        assert_eq!(answer, Bytes::from(vec![0; 32]), "{pair}");
        let play = Bytes::from(playCall { peer: ping, depth: n(0) }.abi_encode());
        let done = chain.send(ALICE, ping, &staticCallCall { target: pong, data: play.clone() });
        assert_eq!(done.reverted(), Bytes::new(), "{pair}");
        // Through a frame that may itself write.
        let through = Bytes::from(callCall { target: ping, data: play }.abi_encode());
        let done = chain.send(ALICE, ping, &staticCallCall { target: pong, data: through });
        assert_eq!(done.reverted(), Bytes::new(), "{pair}");
        let through = Bytes::from(callCall { target: ping, data: hits }.abi_encode());
        chain.send(ALICE, ping, &callCall { target: pong, data: through }).logs();
    }
}

#[test]
fn wei_is_received() {
    for kind in KINDS {
        let mut chain = Chain::new();
        let player = chain.deploy(&PING_PONG, kind, &[]);
        assert!(chain.send_bytes(ALICE, player, Vec::new(), 12).logs().is_empty());
        assert_eq!(chain.balance(player), n(12), "{kind:?}");
    }
}
