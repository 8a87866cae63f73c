//! Events: LOG1 to LOG4 as Solidity emits them.

use crate::abi::Name;

/// An event: declared by [`event!`](crate::event).
pub trait SolEvent {
    /// Its name.
    const NAME: &'static str;
    /// The types of its arguments.
    const TYPES: &'static [Name];
    /// The names of its arguments, and whether they are indexed.
    const ARGUMENTS: &'static [(&'static str, bool)];
}

/// Declares events: each becomes a struct that can `emit()`. At most three arguments are indexed,
/// and these are of types that fit in a word.
///
/// ```
/// # use tandem_kit::prelude::*;
/// event! {
///     Transfer(#[indexed] from: Address, #[indexed] to: Address, value: U256);
/// }
/// ```
#[macro_export]
macro_rules! event {
    ($(
        $(#[doc = $doc:literal])*
        $name:ident ( $($(#[$mark:ident])? $argument:ident : $type:ty),* $(,)? );
    )*) => {$(
        $(#[doc = $doc])*
        #[allow(missing_docs, reason = "the declaration says what there is to say")]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $(pub $argument: $type),*
        }

        impl $name {
            /// Emits the event.
            #[allow(unused_assignments, reason = "the last topic's count")]
            pub fn emit(self) {
                const TYPES: &[$crate::abi::Name] = &[$(<$type as $crate::abi::Abi>::NAME),*];
                const TOPICS: usize = 1 $(+ $crate::__indexed!($($mark)? => 1, 0))*;
                const HEADS: usize = 1 + TYPES.len() - TOPICS;
                let mut topics = [$crate::Word::ZERO; TOPICS];
                topics[0] = const { $crate::abi::topic(stringify!($name), TYPES) };
                let mut _at = 1;
                $($crate::__indexed!($($mark)? => {
                    topics[_at] = $crate::abi::Simple::to_word(&self.$argument);
                    _at += 1;
                }, {}));*;
                let tail = 0 $(+ $crate::__indexed!(
                    $($mark)? => 0, $crate::abi::Abi::tail_words(&self.$argument)))*;
                $crate::__private::log::<TOPICS, HEADS>(&topics, tail, |_writer| {
                    $($crate::__indexed!($($mark)? => {}, { _writer.put(&self.$argument); }));*
                });
            }
        }

        impl $crate::__private::SolEvent for $name {
            const NAME: &'static str = stringify!($name);
            const TYPES: &'static [$crate::abi::Name] =
                &[$(<$type as $crate::abi::Abi>::NAME),*];
            const ARGUMENTS: &'static [(&'static str, bool)] =
                &[$((stringify!($argument), $crate::__indexed!($($mark)? => true, false))),*];
        }
    )*};
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
