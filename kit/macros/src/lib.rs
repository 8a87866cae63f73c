//! The attributes and derives of `tandem-kit`, which re-exports them: read them there.
//!
//! `contract.rs` turns an `impl` block into dispatch and description, `storage.rs` gives a struct's
//! fields their slots, `derive.rs` gives structs and enums their place in the ABI. All that they
//! write names the kit as `::tandem_kit`.

mod contract;
mod derive;
mod name;
mod storage;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemImpl, ItemStruct, parse_macro_input};

/// Makes an `impl` block of a [`macro@storage`] struct a contract: each `pub fn` is a function that
/// others can call, named as Solidity names functions (`total_supply` is `totalSupply`).
///
/// What a function may do is seen from how it takes the contract: `&mut self` writes, `&self` is
/// `view`, without `self` it is `pure`. It may return nothing, a value, a tuple of values, or a
/// `Result` of these and an error.
///
/// | attribute | of a function |
/// |---|---|
/// | `#[constructor]` | runs once, when the contract is deployed; what it returns are the immutable values |
/// | `#[payable]` | takes wei; all others revert if wei comes |
/// | `#[receive]` | gets calls without data, and takes wei |
/// | `#[fallback]` | gets calls that no function answers, as bytes if it has an argument; answers `Bytes` as they are |
/// | `#[name("DOMAIN_SEPARATOR")]` | its name in the ABI; the same name twice overloads it |
///
/// `#[contract(events(Transfer), errors(Closed))]` names events and errors for the ABI; errors that
/// functions return are in it already. Two functions with one selector fail the build.
#[proc_macro_attribute]
pub fn contract(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as contract::Arguments);
    let item = parse_macro_input!(item as ItemImpl);
    contract::expand(arguments, item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct storage in Solidity's layout: each field is declared as what is stored, and is
/// the accessor of that.
///
/// | declared as | Solidity | accessor |
/// |---|---|---|
/// | `U256`, `bool`, `Address`, ... | the same | `get`, `set`, `update` |
/// | `Map<K, V>` | `mapping(K => V)` | `get`, `set`, `update` by key; `at`, `at_mut` |
/// | `Vec<T>`, `[T; N]` | `T[]`, `T[N]` | `get`, `set`, `at`, `at_mut` by index; `push`, `pop`, `len` |
/// | `Text`, `Bytes` | `string`, `bytes` | `get`, `set` |
/// | another such struct | `struct` | its fields |
/// | `Transient<T>` | `T transient` | as `T` |
///
/// Writing needs `&mut`: a `view` function cannot write.
#[proc_macro_attribute]
pub fn storage(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    storage::expand(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct in memory one that can be stored: as [`macro@storage`] lays it out, read and written
/// field by field or, by `load` and `store`, as a whole.
///
/// `Order`'s accessor is the struct `OrderPlace`.
#[proc_macro_derive(Stored)]
pub fn stored(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    storage::stored(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Gives a struct (a tuple in the ABI) or an enum without fields (an `uint8`) its place in the ABI:
/// as an argument, a returned value, in events and errors; an enum also in storage.
#[proc_macro_derive(Abi)]
pub fn abi(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    derive::abi(item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum of errors one error: each variant holds one, which it is made from with `?`.
#[proc_macro_derive(Revert)]
pub fn revert(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    derive::revert(item).unwrap_or_else(syn::Error::into_compile_error).into()
}
