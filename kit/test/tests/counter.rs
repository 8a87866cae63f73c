//! A contract's way over the engine: state, events, errors, time, panics, prints, and another
//! contract of the EVM's kind.

use tandem_kit::PanicCode;
use tandem_kit::prelude::*;
use tandem_kit_test::Chain;

event! { Counted(#[indexed] by: Address, count: U256); }
error! { TooFar(limit: U256); }

interface! {
    Peer {
        view count() -> U256;
        write add(step: U256) -> U256;
    }
}

#[storage]
struct Counter {
    count: U256,
    owner: Address,
    opens_at: u64,
}

#[contract(events(Counted))]
impl Counter {
    #[constructor]
    fn new(&mut self, start: U256, opens_at: u64) {
        self.count.set(start);
        self.owner.set(env::caller());
        self.opens_at.set(opens_at);
    }

    pub fn count(&self) -> U256 {
        self.count.get()
    }

    pub fn owner(&self) -> Address {
        self.owner.get()
    }

    pub fn add(&mut self, step: U256) -> Result<U256, TooFar> {
        ensure!(env::timestamp() >= self.opens_at.get(), "not open yet");
        let count = self.count.get() + step;
        let limit = U256::from(100u8);
        if count > limit {
            return Err(TooFar { limit });
        }
        self.count.set(count);
        console!("count is {count}");
        self.emit(Counted { by: env::caller(), count });
        Ok(count)
    }

    pub fn panic(&self, how: u8) -> u8 {
        match how {
            0 => panic!("in plain words"),
            1 => panic!("number {how}"),
            n => [1, 2, 3][n as usize],
        }
    }

    pub fn add_there(&mut self, peer: Address, step: U256) -> Result<U256, Failure> {
        Peer::at(peer).add(self, step)?;
        Ok(Peer::at(peer).count()? + self.count.get())
    }

    pub fn catch(&mut self, peer: Address) -> bool {
        match Peer::at(peer).add(self, U256::MAX) {
            Err(failure) => failure.panic_code().is_some(),
            Ok(_) => false,
        }
    }

    /// Calls `add` in a static call, in which it cannot write.
    pub fn peek(&self, peer: Address) -> bool {
        let input = [0x10, 0x03, 0xe2, 0xd2].into_iter().chain([0; 32]).collect::<Vec<u8>>();
        Call::to(peer).gas(100_000).read(&input).is_err()
    }

    pub fn proxy(&mut self, code: Address, input: Bytes) -> Result<Bytes, Failure> {
        Call::to(code).delegate(self, &input.0).map(Bytes)
    }

    #[payable]
    pub fn split(&mut self, a: Address, b: Address) -> Result<(), Failure> {
        let half = env::value() / U256::from(2u8);
        Call::to(a).value(half).send(self, &[])?;
        Call::to(b).value(half).send(self, &[])?;
        Ok(())
    }
}

fn n(number: u64) -> U256 {
    U256::from(number)
}

fn deployed() -> (Chain, Address) {
    let mut chain = Chain::new();
    let counter = chain.deploy::<Counter>(&(n(40), 0u64));
    (chain, counter)
}

#[test]
fn state_events_and_errors() {
    let (mut chain, counter) = deployed();
    let bob = chain.account(1);
    assert_eq!(chain.ask::<Address>(counter, "owner()", &()), chain.account(0));
    let done = chain.by(bob).send(counter, "add(uint256)", &n(2));
    assert_eq!(done.returned::<U256>(), n(42));
    assert_eq!(done.printed, ["count is 42"]);
    done.emitted(counter, Counted { by: bob, count: n(42) });
    chain.send(counter, "add(uint256)", &n(59)).reverted_with(TooFar { limit: n(100) });
    chain.send(counter, "add(uint256)", &U256::MAX).panicked_with(PanicCode::Overflow);
    assert_eq!(chain.ask::<U256>(counter, "count()", &()), n(42));
    assert_eq!(chain.storage(counter, Word::ZERO), n(42).to_word());
    // A call keeps nothing.
    chain.by(bob).call(counter, "add(uint256)", &n(1)).succeeded();
    assert_eq!(chain.ask::<U256>(counter, "count()", &()), n(42));
    // Wei is refused, and so is what no function answers.
    assert!(chain.by(bob).value(n(1)).send(counter, "add(uint256)", &n(1)).reverted().is_empty());
    assert!(chain.send(counter, "nothing()", &()).reverted().is_empty());
}

#[test]
fn time_is_set() {
    let mut chain = Chain::new();
    let opens_at = chain.time() + 60;
    let counter = chain.deploy::<Counter>(&(n(0), opens_at));
    chain.send(counter, "add(uint256)", &n(1)).reverted_with("not open yet");
    chain.skip(60);
    chain.send(counter, "add(uint256)", &n(1)).succeeded();
}

#[test]
fn panics_reach_the_caller() {
    let (mut chain, counter) = deployed();
    chain.send(counter, "panic(uint8)", &0u8).reverted_with("in plain words");
    chain.send(counter, "panic(uint8)", &1u8).reverted_with("number 1");
    let text = "index out of bounds: the len is 3 but the index is 7";
    chain.send(counter, "panic(uint8)", &7u8).reverted_with(text);
    assert_eq!(chain.ask::<u8>(counter, "panic(uint8)", &2u8), 3);
}

#[test]
fn contracts_call_each_other() {
    let (mut chain, first) = deployed();
    let second = chain.deploy::<Counter>(&(n(1), 0u64));
    let done = chain.send(first, "addThere(address,uint256)", &(second, n(5)));
    assert_eq!(done.returned::<U256>(), n(46));
    done.emitted(second, Counted { by: first, count: n(6) });
    let too_much = chain.send(first, "addThere(address,uint256)", &(second, n(500)));
    too_much.reverted_with(TooFar { limit: n(100) });
    assert!(chain.ask::<bool>(first, "catch(address)", &second));
    assert!(chain.ask::<bool>(first, "peek(address)", &second));
    assert_eq!(chain.ask::<U256>(second, "count()", &()), n(6));
    // The second one's code over the first one's state.
    let input = [0x10, 0x03, 0xe2, 0xd2].into_iter().chain(*n(2).to_word().bytes()).collect();
    let done = chain.send(first, "proxy(address,bytes)", &(second, Bytes(input)));
    done.emitted(first, Counted { by: chain.account(0), count: n(42) });
    assert_eq!(chain.ask::<U256>(first, "count()", &()), n(42));
}

#[test]
fn evm_contracts_are_mixed_in() {
    let (mut chain, counter) = deployed();
    // Runtime code: answers 7 to whatever it is asked.
    let runtime = [0x60, 0x07, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
    let init = [&[0x67][..], &runtime, &[0x5f, 0x52, 0x60, 0x08, 0x60, 0x18, 0xf3]].concat();
    let seven = chain.deploy_code(&init, &());
    let done = chain.send(counter, "addThere(address,uint256)", &(seven, n(1)));
    assert_eq!(done.returned::<U256>(), n(47));
}

#[test]
fn what_evm_contracts_log_is_seen_too() {
    let mut chain = Chain::new();
    // log(string), which the runtime code has behind it and sends to the console's address.
    let text = tandem_kit::abi::encode(&Text::from("hello from the EVM"));
    let input = [&[0x41, 0x30, 0x4f, 0xac][..], &text].concat();
    let len = input.len() as u8;
    let copy = [0x60, len, 0x60, 35, 0x5f, 0x39, 0x5f, 0x5f, 0x60, len, 0x5f, 0x73];
    let console = Address::new(*b"\0\0\0\0\0\0\0\0\0console.log");
    let call = [&copy[..], console.bytes(), &[0x5a, 0xfa, 0x00], &input].concat();
    let size = call.len() as u8;
    let init = [&[0x60, size, 0x60, 10, 0x5f, 0x39, 0x60, size, 0x5f, 0xf3][..], &call].concat();
    let logger = chain.deploy_code(&init, &());
    let done = chain.send(logger, "anything()", &());
    assert_eq!(done.succeeded().printed, ["hello from the EVM"]);
}

#[test]
fn wei_moves_and_gas_runs_out() {
    let (mut chain, counter) = deployed();
    let (alice, a, b) = (chain.account(0), Address::from_u64(0xa), chain.account(2));
    let before = chain.balance(b);
    let a = Address::new([a.bytes()[19]; 20]);
    chain.by(alice).value(n(10)).send(counter, "split(address,address)", &(a, b)).succeeded();
    assert_eq!((chain.balance(a), chain.balance(b)), (n(5), before + n(5)));
    chain.set_balance(a, n(77));
    assert_eq!(chain.balance(a), n(77));
    chain.by(alice).gas(25_000).send(counter, "add(uint256)", &n(1)).halted();
}
