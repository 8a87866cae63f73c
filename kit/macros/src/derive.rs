//! `#[derive(Abi)]` and `#[derive(Revert)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, FieldsNamed, Ident, Result, Type};

use crate::name::camel;

pub(crate) fn abi(item: DeriveInput) -> Result<TokenStream> {
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "types of the ABI have no parameters"));
    }
    match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => Ok(tuple(&item.ident, fields)),
            _ => Err(Error::new_spanned(&item.ident, "a struct of the ABI has named fields")),
        },
        Data::Enum(data) => choice(&item.ident, data),
        Data::Union(_) => Err(Error::new_spanned(&item.ident, "the ABI has no unions")),
    }
}

fn tuple(name: &Ident, fields: &FieldsNamed) -> TokenStream {
    let idents: Vec<&Ident> =
        fields.named.iter().filter_map(|field| field.ident.as_ref()).collect();
    let types: Vec<&Type> = fields.named.iter().map(|field| &field.ty).collect();
    let labels: Vec<String> = idents.iter().map(|ident| camel(ident)).collect();
    let text = name.to_string();
    quote! {
        const _: () = {
            use ::tandem_kit::__private as kit;
            const IS_DYNAMIC: bool = false #(|| <#types as kit::Abi>::DYNAMIC)*;
            const WORDS: usize = 0 #(+ <#types as kit::Abi>::HEAD_WORDS)*;

            impl kit::Abi for #name {
                const NAME: kit::Name = kit::Name::tuple(&[#(<#types as kit::Abi>::NAME),*]);
                const DYNAMIC: bool = IS_DYNAMIC;
                const HEAD_WORDS: usize = if IS_DYNAMIC { 1 } else { WORDS };
                const TUPLE: Option<&'static kit::Tuple> = Some(&kit::Tuple {
                    name: #text,
                    fields: &[#(kit::Parameter::of::<#types>(#labels)),*],
                });

                #[inline]
                fn tail_words(&self) -> usize {
                    if IS_DYNAMIC {
                        WORDS #(+ kit::Abi::tail_words(&self.#idents))*
                    } else {
                        0
                    }
                }

                #[inline]
                fn write(&self, writer: &mut kit::Writer<'_>) {
                    let all = |writer: &mut kit::Writer<'_>| {
                        #(kit::Abi::write(&self.#idents, writer);)*
                    };
                    if IS_DYNAMIC { writer.inner(WORDS, all) } else { all(writer) }
                }

                #[inline]
                fn read<S: kit::Source + ?Sized>(reader: &mut kit::Reader<'_, S>) -> Self {
                    if IS_DYNAMIC {
                        let mut content = reader.inner();
                        Self { #(#idents: <#types as kit::Abi>::read(&mut content)),* }
                    } else {
                        Self { #(#idents: <#types as kit::Abi>::read(reader)),* }
                    }
                }
            }

            ::tandem_kit::__struct_topic! { #name: #(#idents)* }
        };
    }
}

fn choice(name: &Ident, data: &DataEnum) -> Result<TokenStream> {
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) || variant.discriminant.is_some() {
            let text = "an enum of the ABI has plain variants, which count from 0";
            return Err(Error::new_spanned(variant, text));
        }
    }
    if data.variants.is_empty() || data.variants.len() > 256 {
        return Err(Error::new_spanned(name, "an enum of the ABI has 1 to 256 variants"));
    }
    let variants: Vec<&Ident> = data.variants.iter().map(|variant| &variant.ident).collect();
    let numbers = 0..variants.len() as u64;
    let again = numbers.clone();
    Ok(quote! {
        const _: () = {
            use ::tandem_kit::__private as kit;

            impl kit::Simple for #name {
                const BYTES: usize = 1;

                #[inline]
                fn to_word(&self) -> kit::Word {
                    kit::Word::from_u64(match self { #(Self::#variants => #numbers),* })
                }

                #[inline]
                fn from_word(word: kit::Word) -> Option<Self> {
                    match word.to_u64()? {
                        #(#again => Some(Self::#variants),)*
                        _ => None,
                    }
                }
            }

            ::tandem_kit::__word_type! { [] #name, kit::Name::new("uint8") }
        };
    })
}

pub(crate) fn revert(item: DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &item.data else {
        return Err(Error::new_spanned(&item.ident, "errors are put together as an enum"));
    };
    let name = &item.ident;
    let mut variants = Vec::new();
    let mut errors = Vec::new();
    for variant in &data.variants {
        match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                variants.push(&variant.ident);
                errors.extend(fields.unnamed.iter().map(|field| &field.ty));
            }
            _ => return Err(Error::new_spanned(variant, "a variant holds one error")),
        }
    }
    Ok(quote! {
        impl ::tandem_kit::Revert for #name {
            fn revert(self) -> ! {
                match self {
                    #(Self::#variants(error) => ::tandem_kit::Revert::revert(error)),*
                }
            }

            #[cfg(not(target_os = "none"))]
            fn describe(
                contract: ::tandem_kit::describe::Contract,
            ) -> ::tandem_kit::describe::Contract {
                contract #(.errors::<#errors>())*
            }
        }

        #(impl From<#errors> for #name {
            fn from(error: #errors) -> Self {
                Self::#variants(error)
            }
        })*
    })
}
