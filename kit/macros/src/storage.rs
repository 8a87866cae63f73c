//! `#[storage]` and `#[derive(Stored)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, Fields, Ident, ItemStruct, Result, Type};

pub(crate) fn expand(mut item: ItemStruct) -> Result<TokenStream> {
    let impls = impls(&item.ident, &item)?;
    let name = &item.ident;
    let state = quote!(impl ::tandem_kit::storage::State for #name {});
    for field in &mut item.fields {
        let declared = &field.ty;
        field.ty = syn::parse_quote!(<#declared as ::tandem_kit::storage::Stored>::Place);
    }
    Ok(quote! {
        #[allow(dead_code, reason = "a layout may name what is not read")]
        #item
        #impls
        #state
    })
}

/// A struct in memory that can be stored: its place is a struct of its fields' places.
pub(crate) fn stored(item: ItemStruct) -> Result<TokenStream> {
    let place = format_ident!("{}Place", item.ident);
    let impls = impls(&place, &item)?;
    let ItemStruct { vis, ident, fields, .. } = &item;
    let names: Vec<&Ident> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    let types: Vec<&Type> = fields.iter().map(|field| &field.ty).collect();
    let visible = fields.iter().map(|field| &field.vis);
    let doc = format!("Where a [`{ident}`] is stored.");
    Ok(quote! {
        #[doc = #doc]
        #[allow(dead_code, missing_docs, reason = "the fields are those of the struct")]
        #vis struct #place {
            #(#visible #names: <#types as ::tandem_kit::storage::Stored>::Place),*
        }

        #impls

        impl ::tandem_kit::storage::Whole for #place {
            type Value = #ident;

            fn load(&self) -> #ident {
                #ident { #(#names: ::tandem_kit::storage::Whole::load(&self.#names)),* }
            }

            fn store(&mut self, value: &#ident) {
                #(::tandem_kit::storage::Whole::store(&mut self.#names, &value.#names);)*
            }
        }
    })
}

/// The layout of a struct whose accessor is `place`.
fn impls(place: &Ident, item: &ItemStruct) -> Result<TokenStream> {
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "storage has no type parameters"));
    }
    let Fields::Named(fields) = &item.fields else {
        return Err(Error::new_spanned(&item.ident, "storage is a struct with named fields"));
    };
    let name = &item.ident;
    let types: Vec<&Type> = fields.named.iter().map(|field| &field.ty).collect();
    let fields: Vec<&Ident> =
        fields.named.iter().filter_map(|field| field.ident.as_ref()).collect();
    let count = fields.len();
    let at = 0..count;
    Ok(quote! {
        const _: () = {
            use ::tandem_kit::__private as kit;
            use kit::Stored as _;

            const LAYOUT: ::tandem_kit::storage::Layout<#count> =
                kit::layout([#(kit::field::<#types>()),*]);

            impl kit::Stored for #name {
                const SLOTS: u64 = LAYOUT.slots;
                type Place = #place;

                #[inline(always)]
                fn place(slot: kit::Word, _offset: usize) -> #place {
                    #place {
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

            impl kit::Erase for #place {
                fn erase(&mut self) {
                    #(kit::Erase::erase(&mut self.#fields);)*
                }
            }
        };
    })
}
