//! The trait as data: the service, its methods, what they take and return.
//!
//! Building it never fails: what is missing gets a stand-in that `check.rs` reports before anything
//! is generated from it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{
    Attribute, Expr, ExprLit, FnArg, GenericArgument, Ident, ItemTrait, Lit, Meta, Pat, PatIdent,
    PatType, PathArguments, ReturnType, TraitItem, TraitItemFn, Type, parse_quote,
};

use crate::args::{MethodArgs, ServiceArgs};
use crate::errors::Errors;
use crate::groups::ungrouped;
use crate::names::{Names, lints};
use crate::streams::streamed;

/// A trait under `#[service]`.
pub(crate) struct Service {
    pub(crate) args: ServiceArgs,
    /// The trait as written.
    pub(crate) item: ItemTrait,
    pub(crate) docs: String,
    /// Its methods in the order of declaration; a method's place is its index.
    pub(crate) methods: Vec<Method>,
    pub(crate) names: Names,
}

/// One method of the trait.
pub(crate) struct Method {
    pub(crate) args: MethodArgs,
    /// The method as written, without its `#[rpc(…)]`.
    pub(crate) item: TraitItemFn,
    pub(crate) docs: String,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) outcome: Outcome,
}

/// One argument of a method.
pub(crate) struct Argument {
    pub(crate) item: PatType,
    /// Its name; a stand-in if it was given a pattern.
    pub(crate) name: Ident,
}

/// What a method returns.
pub(crate) struct Outcome {
    /// The type as written.
    pub(crate) whole: Type,
    /// Whether that is a `Result` of one or two types.
    pub(crate) is_result: bool,
    pub(crate) value: Type,
    /// The error if it was written; otherwise it is that of the alias.
    pub(crate) error: Option<Type>,
}

impl Service {
    pub(crate) fn new(args: ServiceArgs, item: ItemTrait, errors: &mut Errors) -> Self {
        let methods = item.items.iter().filter_map(|item| match item {
            TraitItem::Fn(method) => Some(Method::new(method.clone(), errors)),
            _ => None,
        });
        Self {
            methods: methods.collect(),
            docs: docs(&item.attrs),
            names: Names::new(&item.ident, item.to_token_stream()),
            args,
            item,
        }
    }

    /// The interface name on the wire.
    pub(crate) fn interface(&self) -> String {
        match &self.args.name {
            Some(name) => name.value(),
            None => self.item.ident.unraw().to_string(),
        }
    }

    /// The path of everything generated code names.
    pub(crate) fn private(&self) -> TokenStream {
        let krate = &self.args.krate;
        quote!(#krate::__private)
    }

    /// What silences lints about what the user wrote, in code that repeats it.
    pub(crate) fn lints(&self) -> TokenStream {
        lints(self.item.to_token_stream())
    }

    /// The trait with its parameters, as a bound names it.
    pub(crate) fn bound(&self) -> TokenStream {
        let ident = &self.item.ident;
        let (_, parameters, _) = self.item.generics.split_for_impl();
        quote!(#ident #parameters)
    }
}

impl Method {
    fn new(mut item: TraitItemFn, errors: &mut Errors) -> Self {
        let args = MethodArgs::take(&mut item.attrs, errors);
        let typed = item.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(argument) => Some(argument.clone()),
            FnArg::Receiver(_) => None,
        });
        Self {
            arguments: typed.enumerate().map(Argument::new).collect(),
            outcome: Outcome::new(&item.sig.output),
            docs: docs(&item.attrs),
            args,
            item,
        }
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.item.sig.ident
    }

    /// The name on the wire.
    pub(crate) fn wire_name(&self) -> String {
        match &self.args.name {
            Some(name) => name.value(),
            None => self.name().unraw().to_string(),
        }
    }

    /// Where its name on the wire was given.
    pub(crate) fn wire_name_span(&self) -> Span {
        match &self.args.name {
            Some(name) => name.span(),
            None => self.name().span(),
        }
    }

    /// The names of its arguments.
    pub(crate) fn argument_names(&self) -> impl Iterator<Item = &Ident> {
        self.arguments.iter().map(|argument| &argument.name)
    }

    /// The argument that streams, and the type of its values.
    pub(crate) fn streamed_argument(&self) -> Option<(&Ident, &Type)> {
        let argument = self.arguments.first()?;
        Some((&argument.name, streamed(&argument.item.ty)?))
    }

    /// Whether its arguments or its result stream.
    pub(crate) fn is_streaming(&self) -> bool {
        self.streamed_argument().is_some() || streamed(&self.outcome.value).is_some()
    }

    /// The types of its arguments.
    pub(crate) fn argument_types(&self) -> impl Iterator<Item = &Type> {
        self.arguments.iter().map(|argument| &*argument.item.ty)
    }
}

impl Argument {
    fn new((index, item): (usize, PatType)) -> Self {
        let name = match &*item.pat {
            Pat::Ident(PatIdent { ident, .. }) => ident.clone(),
            _ => format_ident!("argument_{index}"),
        };
        Self { item, name }
    }
}

impl Outcome {
    fn new(output: &ReturnType) -> Self {
        let whole: Type = match output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => (**ty).clone(),
        };
        let types = result_types(&whole).unwrap_or_default();
        let mut types = types.into_iter();
        let (value, error, rest) = (types.next(), types.next(), types.next());
        Self {
            is_result: value.is_some() && rest.is_none(),
            value: value.unwrap_or_else(|| whole.clone()),
            error,
            whole,
        }
    }
}

impl Outcome {
    /// The error's type, or what stands for it.
    pub(crate) fn error_type(&self) -> &Type {
        self.error.as_ref().unwrap_or(&self.whole)
    }
}

/// The types between the angle brackets of a path that ends in `Result`.
fn result_types(ty: &Type) -> Option<Vec<Type>> {
    let Type::Path(path) = ungrouped(ty) else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    types.collect::<Option<Vec<_>>>().filter(|_| last.ident == "Result")
}

/// The text of doc comments, without the blank that follows the slashes.
fn docs(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<_> =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n")
}
