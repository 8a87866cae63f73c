//! Events: LOG0 to LOG4 as Solidity emits them.

use crate::abi::Parameter;

/// An event: declared by [`event!`](crate::event).
pub trait SolEvent {
    /// Its name.
    const NAME: &'static str;
    /// Its arguments.
    const ARGUMENTS: &'static [Parameter];
    /// Which of them are indexed.
    const INDEXED: &'static [bool];
    /// Whether it has no topic of its own.
    const ANONYMOUS: bool;

    /// Emits the event: what [`State::emit`](crate::storage::State::emit) does.
    #[doc(hidden)]
    fn log(self);
}

/// Declares events: each becomes a struct that a contract can `emit`. At most three arguments are
/// indexed, four of an event that is `anonymous`; of those that do not fit in a word the hash is.
///
/// ```
/// # use tandem_kit::prelude::*;
/// event! {
///     Transfer(#[indexed] from: Address, #[indexed] to: Address, value: U256);
///     Ping(#[indexed] count: U256) anonymous;
/// }
/// ```
#[macro_export]
macro_rules! event {
    ($(
        $(#[$doc:meta])* $name:ident (
            $($(#[$mark:ident])? $argument:ident : $type:ty),* $(,)?
        ) $($anonymous:ident)? ;
    )*) => {$(
        $(#[$doc])*
        #[allow(missing_docs, reason = "the declaration says what there is to say")]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $(pub $argument: $type),*
        }

        impl $crate::__private::SolEvent for $name {
            const NAME: &'static str = stringify!($name);
            const ARGUMENTS: &'static [$crate::abi::Parameter] =
                &[$($crate::abi::Parameter::of::<$type>(stringify!($argument))),*];
            const INDEXED: &'static [bool] =
                &[$($crate::__indexed!($($mark)? => true, false)),*];
            const ANONYMOUS: bool = $crate::__anonymous!($($anonymous)?);

            #[allow(unused_assignments, unused_variables, unused_mut, reason = "the last count")]
            fn log(self) {
                const NAMED: usize = 1 - $crate::__anonymous!($($anonymous)?) as usize;
                const TOPICS: usize = NAMED $(+ $crate::__indexed!($($mark)? => 1, 0))*;
                const { assert!(TOPICS <= 4, "a log has at most four topics") };
                const HEADS: usize = 0 $(+ $crate::__indexed!(
                    $($mark)? => 0, <$type as $crate::abi::Abi>::HEAD_WORDS))*;
                let mut topics = [$crate::Word::ZERO; TOPICS];
                if let (1, Some(first)) = (NAMED, topics.first_mut()) {
                    *first = const {
                        $crate::abi::topic(
                            stringify!($name), &[$(<$type as $crate::abi::Abi>::NAME),*])
                    };
                }
                let mut _at = NAMED;
                $($crate::__indexed!($($mark)? => {
                    topics[_at] = $crate::abi::Topic::topic(&self.$argument);
                    _at += 1;
                }, {}));*;
                let tail = 0 $(+ $crate::__indexed!(
                    $($mark)? => 0, $crate::abi::Abi::tail_words(&self.$argument)))*;
                $crate::__private::log::<TOPICS, HEADS>(&topics, tail, |_writer| {
                    $($crate::__indexed!($($mark)? => {}, { _writer.put(&self.$argument); }));*
                });
            }
        }
    )*};
}

/// Whether the mark is there.
#[doc(hidden)]
#[macro_export]
macro_rules! __anonymous {
    (anonymous) => {
        true
    };
    () => {
        false
    };
}

/// The first of two, if the argument is marked as indexed.
#[doc(hidden)]
#[macro_export]
macro_rules! __indexed {
    (indexed => $then:expr, $else:expr) => {
        $then
    };
    ( => $then:expr, $else:expr) => {
        $else
    };
}
