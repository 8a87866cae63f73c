//! Which logs a client wants.

use alloy_eips::BlockNumberOrTag;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use node::query::{LogBlocks, LogQuery};
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Most addresses, and most topics at one position, as in geth.
const ALTERNATIVES_MAX: usize = 1_000;

/// Criteria for logs as they come over the wire.
///
/// alloy's filter forgets how many positions the list of topics had; to geth, `[null, null]` means
/// logs that have two topics at least.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LogFilter {
    filter: Filter,
    topics_min: usize,
}

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Positions {
            topics: Option<Vec<IgnoredAny>>,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let filter: Filter = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let positions: Positions = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let topics_most = filter.topics.iter().map(|topic| topic.iter().count()).max();
        let most = filter.address.iter().count().max(topics_most.unwrap_or_default());
        if most > ALTERNATIVES_MAX {
            return Err(D::Error::custom(format!(
                "exceed max addresses or topics per search position: {most}, at most \
                 {ALTERNATIVES_MAX}"
            )));
        }
        Ok(Self { filter, topics_min: positions.topics.map_or(0, |topics| topics.len()) })
    }
}

impl LogFilter {
    /// The first block that was asked for, if it is a number.
    pub(crate) fn first_number(&self) -> Option<u64> {
        self.filter.get_from_block()
    }

    /// The last block that was asked for, if it is a number.
    pub(crate) fn last_number(&self) -> Option<u64> {
        self.filter.get_to_block()
    }

    /// Where to look.
    pub(crate) fn blocks(&self) -> FilterBlockOption {
        self.filter.block_option
    }

    /// The same criteria, for the blocks `from..=to`.
    pub(crate) fn between(&self, from: u64, to: u64) -> Self {
        let filter = self.filter.clone().from_block(from).to_block(to);
        Self { filter, topics_min: self.topics_min }
    }

    /// The criteria that another node understands; it may find logs with too few topics.
    pub(crate) fn for_others(&self) -> &Filter {
        &self.filter
    }

    /// Whether emitter and topics match; where the log is does not matter.
    pub(crate) fn matches_event(&self, log: &Log) -> bool {
        log.topics().len() >= self.topics_min
            && self.filter.matches_address(log.address())
            && self.filter.matches_topics(log.topics())
    }

    /// The same criteria, for those of the blocks `from..=to` that the filter's own range leaves.
    pub(crate) fn within(&self, (from, to): (u64, u64)) -> Option<Self> {
        let FilterBlockOption::Range { from_block, to_block } = self.filter.block_option else {
            return None;
        };
        let number = |tag: Option<BlockNumberOrTag>| tag.and_then(|tag| tag.as_number());
        let from = number(from_block).map_or(from, |first| first.max(from));
        let to = number(to_block).map_or(to, |last| last.min(to));
        let range =
            FilterBlockOption::Range { from_block: Some(from.into()), to_block: Some(to.into()) };
        let filter = self.filter.clone().select(range);
        (from <= to).then_some(Self { filter, topics_min: self.topics_min })
    }

    /// The same as the node takes it.
    pub(crate) fn query(&self) -> LogQuery {
        let blocks = match self.filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => LogBlocks::Hash(hash),
            FilterBlockOption::Range { from_block, to_block } => LogBlocks::Range(
                from_block.unwrap_or(BlockNumberOrTag::Latest),
                to_block.unwrap_or(BlockNumberOrTag::Latest),
            ),
        };
        LogQuery {
            blocks,
            addresses: self.filter.address.iter().copied().collect(),
            topics: self.filter.topics.each_ref().map(|topic| topic.iter().copied().collect()),
            topics_min: self.topics_min,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};
    use serde_json::{Value, json};

    fn read(text: Value) -> LogFilter {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn filters_keep_range_addresses_and_topics() {
        let topic = B256::repeat_byte(0x22);
        let query = read(json!({
            "fromBlock": "0x1", "toBlock": "latest",
            "address": ["0x00000000000000000000000000000000000000aa"],
            "topics": [null, [topic]],
        }))
        .query();
        let LogBlocks::Range(from, to) = query.blocks else { panic!("a range") };
        assert_eq!((from, to), (1.into(), BlockNumberOrTag::Latest));
        assert_eq!(query.addresses.len(), 1);
        assert_eq!(query.topics, [vec![], vec![topic], vec![], vec![]]);
        assert_eq!(query.topics_min, 2);
        let query = read(json!({"blockHash": topic})).query();
        assert!(matches!(query.blocks, LogBlocks::Hash(hash) if hash == topic));
    }

    #[test]
    fn a_position_without_a_topic_still_needs_one_in_the_log() {
        let log = |topics: usize| Log {
            inner: alloy_primitives::Log::new_unchecked(
                Address::ZERO,
                vec![B256::ZERO; topics],
                Default::default(),
            ),
            ..Default::default()
        };
        let two = read(json!({"topics": [null, []]}));
        assert_eq!([1, 2, 3].map(|n| two.matches_event(&log(n))), [false, true, true]);
        assert!(read(json!({"topics": []})).matches_event(&log(0)));
        assert!(read(json!({"topics": null})).matches_event(&log(0)));
    }

    #[test]
    fn a_range_clips_what_is_new() {
        let clip = |from: Value, to: Value| {
            let filter = read(json!({"fromBlock": from, "toBlock": to}));
            filter.within((3, 5)).map(|filter| filter.filter.extract_block_range())
        };
        assert_eq!(clip(json!(null), json!(null)), Some((Some(3), Some(5))));
        assert_eq!(clip(json!("0x1"), json!("0x4")), Some((Some(3), Some(4))));
        assert_eq!(clip(json!("0x6"), json!(null)), None);
    }

    #[test]
    fn too_many_alternatives_are_refused_with_the_limit() {
        let many: Vec<_> =
            (0..1_001u64).map(|n| B256::left_padding_from(&n.to_be_bytes())).collect();
        let error = serde_json::from_value::<LogFilter>(json!({"topics": [many]})).unwrap_err();
        assert!(error.to_string().contains("1001, at most 1000"), "{error}");
    }
}
