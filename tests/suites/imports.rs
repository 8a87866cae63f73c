//! The chain of execution-apis, imported in process: every wrong field refused, the right blocks
//! taken once, and given back as they came.

use std::{fs, path::Path};

use alloy_consensus::{Block, BlockBody, Header, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::{BlockId, eip2718::Decodable2718};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use anyhow::{Context, Result, bail, ensure};
use genesis::{Genesis, Headers};
use node::{
    Chain, NodeConfig,
    building::WantedBlock,
    import::{BlockReader, Candidate, ExportRange, ImportError, Imported},
};

use super::Report;

/// Where the chain's Byzantium begins.
const BYZANTIUM_BLOCK: u64 = 9;

/// Changes a header so that one field of it is wrong, if the block's fork has that field.
type Spoil = fn(&mut Header, &Header) -> bool;

/// What is spoilt, the field that the import names for it, and how.
const SPOILT: &[(&str, &str, Spoil)] = &[
    ("number", "number", |header, _| set(&mut header.number, |number| number + 1)),
    ("parent hash", "parentHash", |header, _| set(&mut header.parent_hash, flip)),
    ("timestamp", "timestamp", |header, parent| set(&mut header.timestamp, |_| parent.timestamp)),
    ("difficulty", "difficulty", |header, _| {
        set(&mut header.difficulty, |difficulty| difficulty + U256::from(1))
    }),
    ("ommers hash", "sha3Uncles", |header, _| set(&mut header.ommers_hash, flip)),
    ("high gas limit", "gasLimit", |header, _| set(&mut header.gas_limit, |limit| limit * 3)),
    ("extra data", "size of extraData", |header, _| {
        set(&mut header.extra_data, |_| Bytes::from_static(&[7; 33]))
    }),
    ("nonce after the merge", "nonce", |header, _| {
        header.difficulty.is_zero() && set(&mut header.nonce, |_| B64::repeat_byte(1))
    }),
    ("base fee", "baseFeePerGas", |header, _| option(&mut header.base_fee_per_gas, |fee| fee + 1)),
    ("no base fee", "baseFeePerGas", |header, _| header.base_fee_per_gas.take().is_some()),
    ("early base fee", "baseFeePerGas", |header, _| early(&mut header.base_fee_per_gas, 7)),
    ("excess blob gas", "excessBlobGas", |header, _| {
        option(&mut header.excess_blob_gas, |gas| gas + 131_072)
    }),
    ("no beacon root", "parentBeaconBlockRoot", |header, _| {
        header.parent_beacon_block_root.take().is_some()
    }),
    ("transactions root", "transactionsRoot", |header, _| set(&mut header.transactions_root, flip)),
    ("withdrawals root", "withdrawalsRoot", |header, _| option(&mut header.withdrawals_root, flip)),
    ("early withdrawals root", "withdrawalsRoot", |header, _| {
        early(&mut header.withdrawals_root, B256::ZERO)
    }),
    ("gas used", "gasUsed", |header, _| set(&mut header.gas_used, |gas| gas + 1)),
    ("blob gas used", "blobGasUsed", |header, _| {
        option(&mut header.blob_gas_used, |gas| gas + 131_072)
    }),
    ("receipts root", "receiptsRoot", |header, _| set(&mut header.receipts_root, flip)),
    ("bloom", "logsBloom", |header, _| {
        set(&mut header.logs_bloom, |bloom| {
            if bloom.is_zero() { Bloom::repeat_byte(1) } else { Bloom::ZERO }
        })
    }),
    ("requests hash", "requestsHash", |header, _| option(&mut header.requests_hash, flip)),
    ("early requests hash", "requestsHash", |header, _| {
        early(&mut header.requests_hash, B256::ZERO)
    }),
    ("state root", "stateRoot", |header, _| set(&mut header.state_root, flip)),
    // Somebody else gets the reward. Before Byzantium the receipts' state roots show it first, and
    // a block after the merge gives nothing by itself.
    ("beneficiary", "stateRoot", |header, _| {
        let in_state = header.number >= BYZANTIUM_BLOCK && !header.difficulty.is_zero();
        in_state && set(&mut header.beneficiary, |_| Address::repeat_byte(9))
    }),
];

fn flip(mut hash: B256) -> B256 {
    hash[31] ^= 1;
    hash
}

fn set<T: Clone>(field: &mut T, change: impl FnOnce(T) -> T) -> bool {
    *field = change(field.clone());
    true
}

fn option<T: Clone>(field: &mut Option<T>, change: impl FnOnce(T) -> T) -> bool {
    *field = field.take().map(change);
    field.is_some()
}

/// Gives a block a field that comes with a later fork.
fn early<T>(field: &mut Option<T>, value: T) -> bool {
    let is_early = field.is_none();
    if is_early {
        *field = Some(value);
    }
    is_early
}

pub(crate) fn run(folder: &Path, report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let blocks = read(&folder.join("chain.rlp"))?;
    report.note("spoilt headers", runtime.block_on(spoilt_headers(folder, &blocks)));
    report.note("spoilt bodies", runtime.block_on(spoilt_bodies(folder, &blocks)));
    report.note("import and export", runtime.block_on(import_and_export(folder)));
    report.note("blocks on top", runtime.block_on(blocks_on_top(folder, &blocks)));
    report.note("cut off file", runtime.block_on(cut_off(folder)));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<(Block<TxEnvelope>, usize)>> {
    let mut reader = BlockReader::open(path)?;
    let mut blocks = Vec::new();
    while let Some(block) = reader.read()? {
        blocks.push(block);
    }
    Ok(blocks)
}

fn genesis(folder: &Path) -> Result<Genesis> {
    let mut genesis = Genesis::from_json(&fs::read_to_string(folder.join("genesis.json"))?)?;
    genesis.spec.headers = Headers::Ethereum;
    Ok(genesis)
}

fn start(folder: &Path, datadir: Option<&Path>) -> Result<Chain> {
    let datadir = datadir.map(Path::to_owned);
    let config = NodeConfig { no_mining: true, datadir, ..NodeConfig::default() };
    Ok(Chain::start(config, genesis(folder)?)?)
}

async fn import(chain: &Chain, block: Block<TxEnvelope>) -> Result<Imported, ImportError> {
    let size = alloy_rlp::Encodable::length(&block);
    chain.import(vec![Candidate::new(block, size, chain.spec())?]).await
}

/// The block must be refused for this field, and the head stay where it is.
async fn refused(chain: &Chain, block: Block<TxEnvelope>, field: &str) -> Result<()> {
    let head = chain.head().hash();
    let (hash, follows) = (block.header.hash_slow(), block.header.parent_hash == head);
    let named = match import(chain, block).await {
        Err(ImportError::Field { field, .. }) => field,
        Err(error) => bail!("{error} instead of a wrong {field}"),
        Ok(_) => bail!("taken with a wrong {field}"),
    };
    ensure!(named == field, "{named} is named instead of {field}");
    let kept = chain.bad_blocks().iter().any(|block| block.hash() == hash);
    ensure!(kept == follows, "a block with a wrong {field} is kept: {kept}");
    ensure!(chain.head().hash() == head, "the head moved with a wrong {field}");
    Ok(())
}

async fn spoilt_headers(folder: &Path, blocks: &[(Block<TxEnvelope>, usize)]) -> Result<()> {
    let chain = start(folder, None)?;
    let mut refusals = 0;
    for (block, _) in blocks {
        let parent = chain.head().header.clone();
        for (what, field, spoil) in SPOILT {
            let mut spoilt = block.clone();
            if spoil(&mut spoilt.header, &parent) {
                let number = block.header.number;
                let result = refused(&chain, spoilt, field).await;
                result.with_context(|| format!("block {number}, {what}"))?;
                refusals += 1;
            }
        }
        import(&chain, block.clone()).await?;
    }
    ensure!(refusals > 15 * blocks.len(), "{refusals} blocks were spoilt");
    chain.stop().await;
    Ok(())
}

async fn spoilt_bodies(folder: &Path, blocks: &[(Block<TxEnvelope>, usize)]) -> Result<()> {
    let chain = start(folder, None)?;
    let (mut with_ommers, mut with_withdrawals) = (0, 0);
    for (block, _) in blocks {
        let number = block.header.number;
        let context = || format!("body of block {number}");
        if !block.body.transactions.is_empty() {
            let mut spoilt = block.clone();
            spoilt.body.transactions.pop();
            refused(&chain, spoilt, "transactionsRoot").await.with_context(context)?;
        }
        if let Some(ommer) = block.body.ommers.first() {
            with_ommers += 1;
            spoilt_ommers(&chain, block, ommer).await.with_context(context)?;
        }
        if let Some(withdrawals) = &block.body.withdrawals {
            let mut spoilt = block.clone();
            spoilt.body.withdrawals = None;
            refused(&chain, spoilt, "withdrawals").await.with_context(context)?;
            if !withdrawals.is_empty() {
                with_withdrawals += 1;
                let mut spoilt = block.clone();
                let amounts = spoilt.body.withdrawals.as_mut().map(|all| &mut all.0[0].amount);
                *amounts.context("no withdrawals")? += 1;
                refused(&chain, spoilt, "withdrawalsRoot").await.with_context(context)?;
            }
        }
        import(&chain, block.clone()).await?;
    }
    ensure!(with_ommers > 0 && with_withdrawals > 0, "{with_ommers}, {with_withdrawals}");
    chain.stop().await;
    Ok(())
}

/// Ommers that the block may not have, the header's hash of them being right.
async fn spoilt_ommers(chain: &Chain, block: &Block<TxEnvelope>, ommer: &Header) -> Result<()> {
    let check = async |ommers: Vec<Header>, expected: &str| -> Result<()> {
        let mut spoilt = block.clone();
        spoilt.header.ommers_hash = alloy_consensus::proofs::calculate_ommers_root(&ommers);
        spoilt.body.ommers = ommers;
        let error = import(chain, spoilt).await.err().context("taken with a wrong ommer")?;
        let text = error.to_string();
        ensure!(text.contains(expected), "{text} instead of {expected}");
        Ok(())
    };
    check(vec![ommer.clone(); 3], "number of uncles: expected at most 2, got 3").await?;
    check(vec![ommer.clone(); 2], "is an ommer already").await?;
    let ancestor = chain.head().header.inner().clone();
    check(vec![ancestor], "is an ancestor of the block").await?;
    let dangling = Header { parent_hash: B256::ZERO, ..ommer.clone() };
    check(vec![dangling], "its parent 0x000000").await?;
    let wrong = Header { difficulty: ommer.difficulty + U256::from(1), ..ommer.clone() };
    check(vec![wrong], "difficulty: expected").await
}

async fn import_and_export(folder: &Path) -> Result<()> {
    let datadir = tempfile::tempdir()?;
    let file = folder.join("chain.rlp");
    let chain = start(folder, Some(datadir.path()))?;
    let first = chain.import_file(file.clone()).await?;
    ensure!(first == Imported { added: 54, known: 0 }, "{first:?}");
    let again = chain.import_file(file.clone()).await?;
    ensure!(again == Imported { added: 0, known: 54 }, "{again:?}");
    let head = chain.head();
    chain.stop().await;

    // The trie made of the stored state has the head's root, or the chain would not start.
    let chain = start(folder, Some(datadir.path()))?;
    ensure!(chain.head().hash() == head.hash(), "another head after a restart");
    let plain = datadir.path().join("out.rlp");
    let packed = datadir.path().join("out.rlp.gz");
    let count = chain.export_file(plain.clone(), ExportRange::default()).await?;
    ensure!(count == 54, "{count} blocks exported");
    ensure!(fs::read(&plain)? == fs::read(&file)?, "the exported file differs");
    chain.export_file(packed.clone(), ExportRange { first: Some(0), last: Some(54) }).await?;
    let bytes = fs::read(&packed)?;
    ensure!(bytes.starts_with(&[0x1f, 0x8b]), "the packed file is not packed");
    let (ours, theirs) = (read(&packed)?, read(&file)?);
    ensure!(ours.len() == 55 && ours[1..] == theirs[..], "the packed file has other blocks");
    let wrong = ExportRange { first: Some(3), last: Some(55) };
    let error = chain.export_file(plain, wrong).await.err().context("exported what is not")?;
    let text = "blocks 3 to 55 asked for: the chain has 0 to 54";
    ensure!(error.to_string() == text, "{error}");
    chain.stop().await;
    Ok(())
}

/// What the node seals on another client's chain follows the same rules.
async fn blocks_on_top(folder: &Path, blocks: &[(Block<TxEnvelope>, usize)]) -> Result<()> {
    // On the last block, on one of proof of work with receipts of state roots, and one without.
    for length in [5, 20, 40, blocks.len()] {
        let (chain, other) = (start(folder, None)?, start(folder, None)?);
        for (block, _) in &blocks[..length] {
            import(&chain, block.clone()).await?;
            import(&other, block.clone()).await?;
        }
        if let Some((next, _)) = blocks.get(length) {
            built_apart(&chain, &other, next).await?;
        }
        chain.set_timestamp_interval(10).await?;
        if length == blocks.len() {
            submit_waiting(folder, &chain).await?;
        }
        let sealed = chain.seal(3, None).await?;
        ensure!(sealed.head.number() == length as u64 + 3, "{}", sealed.head.number());
        let datadir = tempfile::tempdir()?;
        let file = datadir.path().join("chain.rlp");
        chain.export_file(file.clone(), ExportRange::default()).await?;
        let done = other.import_file(file.clone()).await?;
        ensure!(done == Imported { added: 3, known: length as u64 }, "{done:?}");
        ensure!(other.head().hash() == sealed.head.hash(), "the heads differ");
        // Back, and the same way again.
        other.rollback(5).await?;
        let safe = other.header(BlockId::safe()).await?.context("no safe block")?;
        ensure!(safe.number == length as u64 - 2, "safe is {}", safe.number);
        let again = other.import_file(file).await?;
        ensure!(again == Imported { added: 5, known: length as u64 - 2 }, "{again:?}");
        ensure!(other.head().hash() == sealed.head.hash(), "the heads differ");
        chain.stop().await;
        other.stop().await;
    }
    Ok(())
}

/// A block that is built and forgotten is as good as one that is sealed: others take it.
async fn built_apart(chain: &Chain, other: &Chain, like: &Block<TxEnvelope>) -> Result<()> {
    let head = chain.head();
    let transactions = like.body.transactions.iter();
    let transactions = transactions
        .map(|tx| Ok((tx.clone(), tx.recover_signer_unchecked()?)))
        .collect::<Result<_>>()?;
    let wanted = WantedBlock {
        timestamp: like.header.timestamp,
        fee_recipient: like.header.beneficiary,
        transactions: Some(transactions),
        ..WantedBlock::default()
    };
    let built = chain.build_block(head.hash(), wanted).await?.block;
    ensure!(built.transactions.len() == like.body.transactions.len(), "transactions are missing");
    let body = BlockBody {
        transactions: built.transactions.clone(),
        withdrawals: built.withdrawals.clone(),
        ..BlockBody::default()
    };
    let block = Block { header: built.header.inner().clone(), body };
    import(other, block).await?;
    ensure!(other.head().hash() == built.hash(), "another block");
    Ok(other.rollback(1).await?)
}

/// Submits the transactions that the exchanges send.
async fn submit_waiting(folder: &Path, chain: &Chain) -> Result<()> {
    for name in ["send-legacy-transaction", "send-access-list-transaction"] {
        let path = folder.join("eth_sendRawTransaction").join(name).with_extension("io");
        let text = fs::read_to_string(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix(">> ")).context("no request")?;
        let request: serde_json::Value = serde_json::from_str(line)?;
        let raw: Bytes = request["params"][0].as_str().context("no transaction")?.parse()?;
        let transaction = TxEnvelope::decode_2718(&mut raw.as_ref())?.try_into_recovered();
        let transaction = transaction.map_err(|_| anyhow::anyhow!("{name} has no sender"))?;
        chain.submit(transaction).await?;
    }
    Ok(())
}

async fn cut_off(folder: &Path) -> Result<()> {
    let datadir = tempfile::tempdir()?;
    let file = datadir.path().join("chain.rlp");
    let whole = fs::read(folder.join("chain.rlp"))?;
    fs::write(&file, &whole[..whole.len() - 1])?;
    let chain = start(folder, None)?;
    let error = chain.import_file(file.clone()).await.err().context("a cut off file was taken")?;
    ensure!(error.to_string().contains("block 53 of the file, at byte"), "{error}");
    ensure!(chain.head().number() == 53, "{} blocks before the cut", chain.head().number());
    let done = chain.import_file(folder.join("chain.rlp")).await?;
    ensure!(done == Imported { added: 1, known: 53 }, "{done:?}");
    fs::write(&file, [&whole[..], &[0x05]].concat())?;
    let error = chain.import_file(file).await.err().context("a number was taken for a block")?;
    ensure!(error.to_string().contains("block 54 of the file"), "{error}");
    chain.stop().await;
    Ok(())
}
