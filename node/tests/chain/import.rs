//! Chains of this node out to a file and into another data directory.

use alloy_primitives::{TxKind, U256};
use genesis::Genesis;
use node::import::{Candidate, ExportRange, ImportError, Imported};
use node::{Chain, NodeConfig};

use super::riscv::{play, players};
use super::{Devnet, STRANGER};

fn other(net: &Devnet) -> Chain {
    let genesis: Genesis = net.chain.genesis().clone();
    Chain::start(NodeConfig::default(), genesis).unwrap()
}

/// A chain on which contracts of both kinds call each other.
async fn played() -> Devnet {
    let net = Devnet::start(NodeConfig::default());
    let (riscv, evm) = players(&net).await;
    let mut free = net.transfer(0, 2);
    free.value = 0;
    for (nonce, (to, peer)) in (2..).zip([(riscv, evm), (evm, riscv)]) {
        free.nonce = nonce;
        let hash = net.send_to(free, TxKind::Call(to), play(peer, 3)).await.unwrap();
        assert!(net.chain.receipt(hash).unwrap().unwrap().receipt.succeeded());
    }
    net.chain.set_next_base_fee(7).await.unwrap();
    net.chain.set_coinbase(STRANGER).await.unwrap();
    net.send(net.transfer(1, 0)).await.unwrap();
    net.chain.seal(3, Some(60)).await.unwrap();
    net
}

#[tokio::test]
async fn a_chain_with_riscv_contracts_comes_out_and_goes_in_the_same() {
    let net = played().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chain.rlp.gz");
    let count = net.chain.export_file(file.clone(), ExportRange::default()).await.unwrap();
    assert_eq!(count, net.head());

    let other = other(&net);
    let done = other.import_file(file.clone()).await.unwrap();
    assert_eq!(done, Imported { added: count, known: 0 });
    let (ours, theirs) = (net.chain.head(), other.head());
    assert_eq!(ours, theirs);
    let state = other.state(alloy_eips::BlockId::latest()).await.unwrap();
    assert_eq!(state.snapshot().rebuild_root().unwrap(), ours.header.state_root);
    let again = other.import_file(file).await.unwrap();
    assert_eq!(again, Imported { added: 0, known: count });

    // What was imported is settled, and the chain goes on from there.
    let safe = other.header(alloy_eips::BlockId::safe()).await.unwrap().unwrap();
    assert_eq!(safe.hash(), theirs.hash());
    assert_eq!(other.seal(1, None).await.unwrap().head.number(), count + 1);
}

#[tokio::test]
async fn another_block_in_the_place_of_a_known_one_is_refused() {
    let (net, directory) = (played().await, tempfile::tempdir().unwrap());
    let file = directory.path().join("chain.rlp");
    net.chain.export_file(file.clone(), ExportRange::default()).await.unwrap();
    let other = other(&net);
    let sealed = other.seal(1, None).await.unwrap();
    let error = other.import_file(file).await.unwrap_err();
    assert!(matches!(error, ImportError::Conflict { number: 1, .. }), "{error}");
    assert_eq!(other.head().hash(), sealed.head.hash());
}

#[tokio::test]
async fn edits_are_not_in_the_file_and_show_in_the_state_root() {
    let net = Devnet::start(NodeConfig::default());
    net.send(net.transfer(0, 0)).await.unwrap();
    net.chain.set_balance(STRANGER, U256::from(41)).await.unwrap();
    net.send(net.transfer(0, 1)).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chain.rlp");
    net.chain.export_file(file.clone(), ExportRange::default()).await.unwrap();
    let other = other(&net);
    let error = other.import_file(file).await.unwrap_err();
    let ImportError::Field { number: 2, field: "stateRoot", .. } = error else {
        panic!("{error}");
    };
    assert_eq!(other.head().hash(), net.chain.header(1.into()).await.unwrap().unwrap().hash());

    // An edit of the chain that takes blocks is in the way, too.
    other.set_balance(STRANGER, U256::from(41)).await.unwrap();
    let block = net.chain.block(2.into()).await.unwrap().unwrap();
    let block = block.body().into_block(block.header.inner().clone());
    let candidate = Candidate::new(block, 600, other.spec()).unwrap();
    let error = other.import(vec![candidate]).await.unwrap_err().to_string();
    assert_eq!(error, "block 2: the state was edited after block 1, and no block follows that");
}
