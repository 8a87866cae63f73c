//! The codec beside alloy's: the same values are the same bytes, both ways.

use alloy_primitives as alloy;
use alloy_sol_types::{SolCall, SolError, SolEvent, SolValue, sol};
use tandem_kit::abi::{self, Reader};
use tandem_kit::alloy::{EmitSol, Sol};
use tandem_kit::host::{self, Ended};
use tandem_kit::prelude::*;
use tandem_kit::storage::Stored;

mod ours {
    use super::*;

    #[derive(Abi, Clone, Debug, PartialEq, Eq)]
    pub(super) struct Point {
        pub(super) x: i64,
        pub(super) y: Uint<96>,
    }

    #[derive(Abi, Clone, Debug, PartialEq, Eq)]
    pub(super) struct Line {
        pub(super) ends: [Point; 2],
        pub(super) label: Text,
        pub(super) marks: Vec<FixedBytes<3>>,
    }

    #[derive(Abi, Clone, Debug, PartialEq, Eq)]
    pub(super) struct Drawing {
        pub(super) lines: Vec<Line>,
        pub(super) pair: [Text; 2],
        pub(super) points: Vec<Point>,
        pub(super) visible: bool,
    }
}

sol! {
    #[derive(Debug, PartialEq)]
    struct Point { int64 x; uint96 y; }
    #[derive(Debug, PartialEq)]
    struct Line { Point[2] ends; string label; bytes3[] marks; }
    #[derive(Debug, PartialEq)]
    struct Drawing { Line[] lines; string[2] pair; Point[] points; bool visible; }

    function draw(Drawing drawing, uint256 scale) returns (uint256 count, string note);
    event Drawn(address indexed by, string indexed title, uint256 count);
    error Blank(address by, string why);
}

fn point(n: i64) -> ours::Point {
    ours::Point { x: -n, y: Uint::new(U256::from(n as u64)).expect("it fits") }
}

fn drawing(lines: usize) -> ours::Drawing {
    let line = |n: usize| ours::Line {
        ends: [point(n as i64), point(n as i64 + 1)],
        label: Text::from("label ".repeat(n).as_str()),
        marks: vec![FixedBytes([n as u8, 2, 3]); n],
    };
    ours::Drawing {
        lines: (0..lines).map(line).collect(),
        pair: [Text::from("left"), Text::from("a right side of more than thirty-two bytes")],
        points: (0..lines as i64).map(point).collect(),
        visible: lines % 2 == 1,
    }
}

fn theirs(of: &ours::Drawing) -> Drawing {
    let text = |text: &Text| text.as_str().expect("it is UTF-8").to_owned();
    let point = |point: &ours::Point| Point {
        x: point.x,
        y: alloy::Uint::from(u64::try_from(-point.x).expect("it is not positive")),
    };
    let line = |line: &ours::Line| Line {
        ends: [point(&line.ends[0]), point(&line.ends[1])],
        label: text(&line.label),
        marks: line.marks.iter().map(|mark| mark.0.into()).collect(),
    };
    Drawing {
        lines: of.lines.iter().map(line).collect(),
        pair: [text(&of.pair[0]), text(&of.pair[1])],
        points: of.points.iter().map(point).collect(),
        visible: of.visible,
    }
}

#[test]
fn structs_and_arrays_are_encoded_as_alloy_does() {
    for lines in 0..5 {
        let (ours, scale) = (drawing(lines), U256::from(7u8));
        let alloy_scale = alloy::U256::from(7);
        let expected = (theirs(&ours), alloy_scale).abi_encode_params();
        let written = abi::encode(&(ours.clone(), scale));
        assert_eq!(written, expected, "{lines} lines");
        let read = <(ours::Drawing, U256)>::read(&mut Reader::new(&written[..], 0));
        assert_eq!(read, (ours, scale));
    }
}

#[test]
fn names_and_selectors_are_those_of_solidity() {
    let selector = abi::selector("draw", &[<ours::Drawing as Abi>::NAME, <U256 as Abi>::NAME]);
    assert_eq!(selector.to_be_bytes(), drawCall::SELECTOR);
    assert_eq!(<[u8; 12]>::NAME.as_str(), "uint8[12]");
}

#[test]
fn cut_and_dirty_structs_are_refused() {
    let written = abi::encode(&(drawing(2), U256::ZERO));
    for len in (0..written.len()).step_by(32) {
        let cut = &written[..len];
        let ended = host::run(|| {
            <(ours::Drawing, U256)>::read(&mut Reader::new(cut, 0));
        });
        // What stands last may be padding of what is read before it.
        let ours_too = (Drawing::abi_decode_params_validate(cut)).is_ok();
        assert!(ended == Ended::Reverted(Vec::new()) || ours_too, "{len}");
    }
}

/// An indexed string is its hash.
fn title() -> alloy::B256 {
    alloy::keccak256("t")
}

#[storage]
struct Artist {
    count: alloy::U256,
    who: alloy::Address,
}

#[contract]
impl Artist {
    pub fn set(
        &mut self,
        count: alloy::U256,
        who: alloy::Address,
    ) -> Result<alloy::B256, Sol<Blank>> {
        if who.is_zero() {
            return Err(Blank { by: who, why: "nobody".into() }.into());
        }
        self.count.set(count);
        self.who.set(who);
        self.emit_sol(&Drawn { by: who, title: title(), count });
        Ok(alloy::B256::repeat_byte(7))
    }

    pub fn ask(&self, other: Address, scale: alloy::U256) -> Result<alloy::U256, Failure> {
        let call = drawCall { drawing: theirs(&drawing(1)), scale };
        Ok(Call::to(other).read_sol(&call)?.count)
    }
}

#[test]
fn what_sol_declares_fits_in() {
    sol! {
        function set(uint256 count, address who) returns (bytes32);
        function ask(address other, uint256 scale) returns (uint256);
    }
    let (count, who) = (alloy::U256::from(5), alloy::Address::repeat_byte(0x11));
    let call = |data: Vec<u8>| {
        host::with(|world| world.calldata = data);
        host::run(|| Artist::run(false))
    };
    let ended = call(setCall { count, who }.abi_encode());
    assert_eq!(ended, Ended::Returned(vec![7; 32]));
    let event = Drawn { by: who, title: title(), count }.encode_log_data();
    host::with(|world| {
        let log = &world.logs[0];
        let topics: Vec<alloy::B256> = log.topics.iter().map(|topic| (*topic).into()).collect();
        assert_eq!((&topics[..], &log.data[..]), (event.topics(), &event.data[..]));
        assert_eq!(world.storage[Word::ZERO.bytes()], Word::from_u64(5));
    });
    let nobody = alloy::Address::ZERO;
    let ended = call(setCall { count, who: nobody }.abi_encode());
    let error = Blank { by: nobody, why: "nobody".into() };
    assert_eq!(ended, Ended::Reverted(error.abi_encode()));
    let answer = drawCall::abi_encode_returns(&drawReturn { count, note: "n".into() });
    host::with(|world| world.answers.push_back((true, answer)));
    let ended = call(askCall { other: who, scale: count }.abi_encode());
    assert_eq!(ended, Ended::Returned(count.abi_encode()));
    assert_eq!(Artist::SLOTS, 2);
}
