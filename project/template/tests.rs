use tandem_kit::prelude::*;
use tandem_kit_test::Chain;

use crate::{Counted, Counter, NotOwner, TooFar};

fn n(number: u64) -> U256 {
    U256::from(number)
}

#[test]
fn it_counts_up_to_its_limit() {
    let mut chain = Chain::new();
    let counter = chain.deploy::<Counter>(&n(10));
    let bob = chain.account(1);

    let done = chain.by(bob).send(counter, "add(uint256)", &n(7));
    assert_eq!(done.returned::<U256>(), n(7));
    done.emitted(counter, Counted { by: bob, count: n(7) });

    chain.send(counter, "add(uint256)", &n(4)).reverted_with(TooFar { limit: n(10) });
    assert_eq!(chain.ask::<U256>(counter, "count()", &()), n(7));
    assert_eq!(chain.ask::<U256>(counter, "raised(address)", &bob), n(7));
}

#[test]
fn only_the_owner_sets_the_limit() {
    let mut chain = Chain::new();
    let counter = chain.deploy::<Counter>(&n(10));
    let bob = chain.account(1);

    let done = chain.by(bob).send(counter, "setLimit(uint256)", &n(20));
    done.reverted_with(NotOwner { account: bob });
    chain.send(counter, "setLimit(uint256)", &n(20)).succeeded();
    assert_eq!(chain.ask::<U256>(counter, "limit()", &()), n(20));
}
