//! `#[contract]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Pat, Path, Result,
    ReturnType, Token, Type, Visibility, parenthesized,
};

use crate::name::camel;

/// What stands in the attribute's brackets.
#[derive(Default)]
pub(crate) struct Arguments {
    events: Vec<Path>,
    errors: Vec<Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let kind: Ident = input.parse()?;
            let list;
            parenthesized!(list in input);
            let paths = Punctuated::<Path, Token![,]>::parse_terminated(&list)?;
            match kind.to_string().as_str() {
                "events" => arguments.events.extend(paths),
                "errors" => arguments.errors.extend(paths),
                _ => return Err(Error::new_spanned(kind, "`events(..)` or `errors(..)`")),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

/// What a function is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Constructor,
    Function,
    Receive,
    Fallback,
}

/// A function that others can call.
struct Function {
    ident: Ident,
    role: Role,
    payable: bool,
    /// Its name in the ABI.
    name: String,
    /// Whether it takes `self`, and whether it may write it.
    receiver: Option<bool>,
    labels: Vec<String>,
    types: Vec<Type>,
    returned: Type,
}

impl Function {
    /// Takes our attributes off a function; `None` if nobody outside may call it.
    fn read(function: &mut ImplItemFn) -> Result<Option<Self>> {
        let mut role = Role::Function;
        let mut payable = false;
        let mut name = None;
        let mut marked = false;
        let mut rest = Vec::new();
        for attribute in std::mem::take(&mut function.attrs) {
            match ours(&attribute).as_deref() {
                Some("constructor") => role = Role::Constructor,
                Some("receive") => (role, payable) = (Role::Receive, true),
                Some("fallback") => role = Role::Fallback,
                Some("payable") => payable = true,
                Some(_) => name = Some(attribute.parse_args::<LitStr>()?.value()),
                None => {
                    rest.push(attribute);
                    continue;
                }
            }
            marked = true;
        }
        function.attrs = rest;
        let is_public = matches!(function.vis, Visibility::Public(_));
        if !is_public && role == Role::Function {
            let text = "a function that others can call is `pub`";
            return if marked { Err(Error::new_spanned(&function.sig, text)) } else { Ok(None) };
        }
        let read = Self::signature(function, role, payable, name)?;
        read.check(function)?;
        Ok(Some(read))
    }

    fn signature(
        function: &ImplItemFn,
        role: Role,
        payable: bool,
        name: Option<String>,
    ) -> Result<Self> {
        let signature = &function.sig;
        if !signature.generics.params.is_empty() || signature.asyncness.is_some() {
            let text = "a contract's function is neither generic nor async";
            return Err(Error::new_spanned(signature, text));
        }
        let mut receiver = None;
        let (mut labels, mut types) = (Vec::new(), Vec::new());
        for input in &signature.inputs {
            match input {
                FnArg::Receiver(of) if of.reference.is_some() => {
                    receiver = Some(of.mutability.is_some());
                }
                FnArg::Receiver(of) => {
                    return Err(Error::new_spanned(of, "a contract is `&self` or `&mut self`"));
                }
                FnArg::Typed(argument) => {
                    labels.push(match &*argument.pat {
                        Pat::Ident(pattern) => camel(&pattern.ident),
                        _ => String::new(),
                    });
                    types.push((*argument.ty).clone());
                }
            }
        }
        let returned = match &signature.output {
            ReturnType::Default => syn::parse_quote!(()),
            ReturnType::Type(_, returned) => (**returned).clone(),
        };
        let ident = signature.ident.clone();
        let name = name.unwrap_or_else(|| camel(&ident));
        Ok(Self { ident, role, payable, name, receiver, labels, types, returned })
    }

    fn check(&self, function: &ImplItemFn) -> Result<()> {
        let fail = |text| Err(Error::new_spanned(&function.sig, text));
        let writes = self.receiver == Some(true);
        match self.role {
            Role::Constructor if !writes => fail("a constructor takes `&mut self`"),
            Role::Receive if !writes || !self.types.is_empty() => {
                fail("`receive` takes `&mut self` and nothing else")
            }
            Role::Fallback if self.types.len() > 1 => {
                fail("`fallback` takes at most the call's data, as `Bytes`")
            }
            _ if self.payable && !writes => fail("a payable function takes `&mut self`"),
            _ => Ok(()),
        }
    }

    fn mutability(&self) -> &'static str {
        match self.receiver {
            _ if self.payable => "payable",
            Some(true) => "nonpayable",
            Some(false) => "view",
            None => "pure",
        }
    }

    fn refusal(&self) -> TokenStream {
        if self.payable { quote!() } else { quote!(kit::Entry::refuse_value();) }
    }

    /// The call, with arguments from `reader`; its value is settled.
    fn call(&self, reader: &TokenStream) -> TokenStream {
        let Self { ident, types, .. } = self;
        let values: Vec<Ident> = (0..types.len()).map(|n| format_ident!("argument_{n}")).collect();
        let call = match self.receiver {
            Some(true) => quote!(Self::#ident(&mut contract, #(#values),*)),
            Some(false) => quote!(Self::#ident(&contract, #(#values),*)),
            None => quote!(Self::#ident(#(#values),*)),
        };
        quote! {
            let mut reader = #reader;
            #(let #values = reader.take::<#types>();)*
            let values = kit::Answer::settle(#call);
        }
    }

    fn selector(&self) -> TokenStream {
        let Self { name, types, .. } = self;
        quote!(kit::selector(#name, &[#(<#types as kit::Abi>::NAME),*]))
    }

    /// Its entry in the description.
    fn entry(&self) -> TokenStream {
        let Self { name, labels, types, returned, .. } = self;
        let mutability = self.mutability();
        let inputs = quote!(&[#(kit::Parameter::of::<#types>(#labels)),*]);
        let entry = match self.role {
            Role::Constructor => quote!(.constructor(#mutability, #inputs)),
            Role::Receive => quote!(.nameless("receive", #mutability)),
            Role::Fallback => quote!(.nameless("fallback", #mutability)),
            Role::Function => quote!(.function(#mutability, #name, #inputs,
                <<#returned as kit::Answer>::Values as ::tandem_kit::abi::Returns>::TYPES)),
        };
        quote!(#entry.errors::<<#returned as kit::Answer>::Error>())
    }
}

/// The name of an attribute that is ours.
fn ours(attribute: &Attribute) -> Option<String> {
    let name = attribute.path().get_ident()?.to_string();
    ["constructor", "receive", "fallback", "payable", "name"]
        .contains(&name.as_str())
        .then_some(name)
}

pub(crate) fn expand(arguments: Arguments, mut item: ItemImpl) -> Result<TokenStream> {
    if let Some((_, path, _)) = &item.trait_ {
        return Err(Error::new_spanned(path, "a contract is an `impl` of its storage, no trait"));
    }
    let mut functions = Vec::new();
    for part in &mut item.items {
        if let ImplItem::Fn(function) = part {
            functions.extend(Function::read(function)?);
        }
    }
    for role in [Role::Constructor, Role::Receive, Role::Fallback] {
        if let Some(second) = functions.iter().filter(|function| function.role == role).nth(1) {
            return Err(Error::new(second.ident.span(), "a contract has one of these"));
        }
    }
    let of = &item.self_ty;
    let run = run(&functions);
    let entries = functions.iter().map(Function::entry);
    let Arguments { events, errors } = arguments;
    let distinct = distinct(&functions);
    Ok(quote! {
        #[allow(unreachable_pub, reason = "`pub` says that others can call a function")]
        #[allow(
            clippy::new_ret_no_self,
            clippy::wrong_self_convention,
            clippy::too_many_arguments,
            reason = "a constructor is called over storage; the ABI decides on arguments"
        )]
        #item

        const _: () = {
            use ::tandem_kit::__private as kit;

            #distinct

            impl kit::Contract for #of {
                const NAME: &'static str = match option_env!("CARGO_BIN_NAME") {
                    Some(name) => name,
                    None => env!("CARGO_PKG_NAME"),
                };

                #[allow(unused, clippy::all, reason = "written by the attribute")]
                fn run(constructor: bool) {
                    #run
                }

                #[cfg(not(target_os = "none"))]
                fn describe() -> kit::describe::Contract {
                    kit::describe::Contract::new()
                        #(#entries)*
                        #(.event::<#events>())*
                        #(.errors::<#errors>())*
                }
            }
        };
    })
}

/// The check that no two functions have one selector.
fn distinct(functions: &[Function]) -> TokenStream {
    let named: Vec<&Function> =
        functions.iter().filter(|function| function.role == Role::Function).collect();
    let selectors = named.iter().map(|function| function.selector());
    let at = 0..named.len();
    let texts = named
        .iter()
        .map(|function| format!("`{}` has the selector of another function", function.name));
    quote! {
        const _: () = {
            const SELECTORS: &[u32] = &[#(#selectors),*];
            #(assert!(kit::is_distinct(SELECTORS, #at), #texts);)*
        };
    }
}

/// A frame from its start to its end.
fn run(functions: &[Function]) -> TokenStream {
    let of = |role| functions.iter().filter(move |function| function.role == role);
    let constructor = of(Role::Constructor).map(|function| {
        let refusal = function.refusal();
        let call = function.call(&quote!(kit::Entry::constructor_arguments()));
        quote!(#refusal #call kit::Entry::deploy(values);)
    });
    let receive = of(Role::Receive).map(|function| {
        let ident = &function.ident;
        quote! {
            if size == 0 {
                kit::Answer::settle(Self::#ident(&mut contract));
                kit::Entry::answer(());
            }
        }
    });
    let named: Vec<&Function> = of(Role::Function).collect();
    let names: Vec<Ident> = (0..named.len()).map(|n| format_ident!("SELECTOR_{n}")).collect();
    let selectors = named.iter().map(|function| function.selector());
    let arms = named.iter().map(|function| {
        let refusal = function.refusal();
        let call = function.call(&quote!(kit::Entry::arguments()));
        quote!({ #refusal #call kit::Entry::answer(values); })
    });
    let fallback = of(Role::Fallback).map(fallback);
    quote! {
        let mut contract = <Self as kit::Stored>::place(kit::Word::ZERO, 0);
        if constructor {
            #(#constructor)*
            kit::Entry::refuse_value();
            kit::Entry::deploy(());
        }
        let size = kit::Entry::size();
        #(#receive)*
        if size >= 4 {
            #(const #names: u32 = #selectors;)*
            match kit::Entry::selector() {
                #(#names => #arms)*
                _ => {}
            }
        }
        #(#fallback)*
        kit::revert_empty();
    }
}

fn fallback(function: &Function) -> TokenStream {
    let ident = &function.ident;
    let refusal = function.refusal();
    let data = function.types.iter().map(|_| quote!(kit::Entry::calldata()));
    let receiver = match function.receiver {
        Some(true) => quote!(&mut contract,),
        Some(false) => quote!(&contract,),
        None => quote!(),
    };
    let call = quote!(kit::Answer::settle(Self::#ident(#receiver #(#data),*)));
    quote!(#refusal kit::Entry::answer_raw(#call);)
}
