//! `#[storage]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Fields, Ident, ItemStruct, Result, Type};

pub(crate) fn expand(mut item: ItemStruct) -> Result<TokenStream> {
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "storage has no type parameters"));
    }
    let Fields::Named(fields) = &mut item.fields else {
        return Err(Error::new_spanned(&item.ident, "storage is a struct with named fields"));
    };
    let mut names = Vec::new();
    let mut types = Vec::new();
    for field in &mut fields.named {
        let declared = field.ty.clone();
        field.ty = syn::parse_quote!(<#declared as ::tandem_kit::storage::Stored>::Place);
        names.extend(field.ident.clone());
        types.push(declared);
    }
    let impls = impls(&item.ident, &names, &types);
    Ok(quote! {
        #[allow(dead_code, reason = "a layout may name what is not read")]
        #item
        #impls
    })
}

fn impls(name: &Ident, fields: &[Ident], types: &[Type]) -> TokenStream {
    let count = fields.len();
    let at = 0..count;
    quote! {
        const _: () = {
            use ::tandem_kit::__private as kit;
            use kit::Stored as _;

            const LAYOUT: ::tandem_kit::storage::Layout<#count> =
                kit::layout([#(kit::field::<#types>()),*]);

            impl kit::Stored for #name {
                const SLOTS: u64 = LAYOUT.slots;
                type Place = Self;

                #[inline(always)]
                fn place(slot: kit::Word, _offset: usize) -> Self {
                    Self {
                        #(#fields: <#types as kit::Stored>::place(
                            // Transient storage knows no structs: its slots count from zero.
                            if <#types as kit::Stored>::TRANSIENT {
                                kit::slot_after(kit::Word::ZERO, LAYOUT.places[#at].0)
                            } else {
                                kit::slot_after(slot, LAYOUT.places[#at].0)
                            },
                            LAYOUT.places[#at].1,
                        )),*
                    }
                }
            }

            impl kit::State for #name {}

            impl kit::Erase for #name {
                fn erase(&mut self) {
                    #(kit::Erase::erase(&mut self.#fields);)*
                }
            }
        };
    }
}
