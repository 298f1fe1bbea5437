//! The attributes of Dubhe: [`macro@service`] on traits, [`macro@message`] on what they carry,
//! [`macro@error`] on what they fail with.
//!
//! | attribute | on | makes |
//! | --- | --- | --- |
//! | [`macro@service`] | a trait | a client, a server, an injectable object, a descriptor |
//! | [`macro@message`] | a struct or enum | a type that travels in every codec |
//! | [`macro@error`] | an enum | business errors that arrive as the same value |
//!
//! Users reach them as `dubhe::service`, `dubhe::message` and `dubhe::error`. A mistake is a compile
//! error at its place that says what to write instead; all mistakes of an item are reported at once.
//!
//! Each attribute goes through the same stages: arguments, model, check, expand. The macros know no
//! crate of the workspace; they print paths into `<crate>::__private`, where `<crate>` is `::dubhe`
//! unless `crate = …` says otherwise.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod check;
mod conditions;
mod errors;
mod expand;
mod groups;
mod message;
mod method_names;
mod model;
mod names;
mod streams;
mod travels;

use proc_macro::TokenStream;
use syn::{Item, ItemStruct, ItemTrait, parse_macro_input};

use crate::errors::Errors;

/// Makes a trait a service that other processes call.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::{error, message, service};
/// use dubhe::{Result, Status};
///
/// #[service(name = "shop.Inventory", version = "1.0.0")]
/// pub trait Inventory {
///     /// How many are left.
///     #[rpc(idempotent, timeout = "300ms")]
///     async fn stock(&self, item: u64) -> Result<u32>;
///
///     async fn buy(&self, item: u64, count: u32) -> Result<Receipt, ShopError>;
///
///     #[rpc(oneway)]
///     async fn viewed(&self, item: u64) -> Result<()>;
/// }
///
/// #[message]
/// #[derive(Debug)]
/// pub struct Receipt {
///     number: u64,
/// }
///
/// #[error]
/// #[derive(Debug)]
/// pub enum ShopError {
///     OutOfStock { left: u32 },
///     #[rpc(status)]
///     Status(Status),
/// }
/// # fn main() {}
/// ```
///
/// The trait's methods return futures that are `Send`; implement them with plain `async fn`. The
/// attribute adds these items, with the visibility and parameters of the trait:
///
/// - `InventoryClient`: implements the trait by calling a provider; `with(options)` for one call
/// - `InventoryBroadcast`, by `client.broadcast()`: the same methods sent to every provider at once;
///   each returns a `NodeResult` for every one of them, whatever policy is configured
/// - `InventoryServer<T>`: serves an implementation, `new(T)` or `from_arc(Arc<T>)`
/// - `DynInventory`: for injection; `Arc<dyn DynInventory>` holds any implementation, and
///   implements the trait
///
/// An `Arc` or `Box` of an implementation implements the trait. The client calls a method with a
/// default body remotely, too; a provider that does not implement it runs the body.
///
/// Code that takes an implementation of the trait works with the client, with the service itself and
/// with a double for tests:
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::service;
/// use std::sync::Arc;
///
/// use dubhe::Result;
///
/// #[service]
/// pub trait Stock {
///     async fn count(&self, item: u64) -> Result<u32>;
///
///     async fn is_empty(&self, item: u64) -> Result<bool> {
///         Ok(self.count(item).await? == 0)
///     }
/// }
///
/// /// A part of a program that needs a stock, and does not care where it is.
/// struct Shop {
///     stock: Arc<dyn DynStock>,
/// }
///
/// /// A stock of one item, for a test.
/// struct OneMug;
///
/// impl Stock for OneMug {
///     async fn count(&self, item: u64) -> Result<u32> {
///         Ok(u32::from(item == 7))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let shop = Shop { stock: Arc::new(OneMug) };
/// assert_eq!(shop.stock.is_empty(7).await, Ok(false));
/// assert_eq!(shop.stock.is_empty(8).await, Ok(true));
/// # }
/// ```
///
/// On the trait: `name` (the interface name on the wire; the trait's unless set), `group`,
/// `version`, `crate` (where Dubhe is, `::dubhe` unless set).
///
/// On a method, in `#[rpc(…)]`:
///
/// | key | meaning | default |
/// | --- | --- | --- |
/// | `name = "…"` | its name on the wire | the method's |
/// | `idempotent` | running it twice does no harm, so it may be sent again | not sent again once it may have run |
/// | `oneway` | the call ends when it is sent; returns `Result<()>` | answered |
/// | `timeout = "300ms"` | for the whole call; `ms`, `s` or `m` | from configuration |
/// | `retries = 2` | how often it is sent again at most (not counting attempts that cannot have run) | from configuration |
/// | `cluster = "failfast"` | the cluster policy, by name | from configuration |
/// | `fallback = "[]"` | what failsafe and failback answer, as JSON of the value | `()`, `None`, an empty collection |
///
/// `Streaming<T>` as the only argument, as the value of the `Result`, or both, makes the method a
/// streaming one:
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::service;
/// use dubhe::{Result, Streaming};
///
/// #[service]
/// pub trait Numbers {
///     async fn sum(&self, numbers: Streaming<u32>) -> Result<u64>;
///     async fn count(&self, to: u32) -> Result<Streaming<u32>>;
///     async fn double(&self, numbers: Streaming<u32>) -> Result<Streaming<u64>>;
/// }
/// # fn main() {}
/// ```
///
/// Such methods are not in `InventoryBroadcast`.
///
/// `Result<T>` fails with a `Status`; `Result<T, E>` with a business error, an enum under
/// `#[error]`, which arrives as the same value. `Result` may be any path that ends in this name.
///
/// A trait may have type parameters. They are those of the client and the server, and need to be
/// elements of messages only as far as methods take or return them:
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::service;
/// use dubhe::Result;
/// use dubhe::message::Element;
///
/// #[service(name = "shop.Cache")]
/// pub trait Cache<V: Element> {
///     async fn put(&self, key: String, value: V) -> Result<()>;
///     async fn keys(&self) -> Result<Vec<String>>;
/// }
///
/// fn uses(_: CacheClient<u64>) {}
/// # fn main() {}
/// ```
///
/// # What a service may look like
///
/// A provider may run elsewhere, be of another version, and answer many calls at once. So:
///
/// | | allowed | because |
/// | --- | --- | --- |
/// | trait | type parameters; the supertraits `Send`, `Sync`, `'static` | the client implements it, too |
/// | items | methods | a client cannot know associated types or constants of a provider |
/// | methods | `async fn`, without parameters of their own | both ends have to know the types |
/// | receiver | `&self` | many calls run at once |
/// | arguments | a name and an owned type each | they travel under their names |
/// | result | `Result<T>` or `Result<T, E>` | every call can fail on its way |
/// | `cfg` | on the trait alone | both ends must agree on methods and arguments |
///
/// Anything else is a compile error that says what to write instead.
#[proc_macro_attribute]
pub fn service(args: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = match syn::parse(item) {
        Ok(Item::Trait(item)) => expand_service(args.into(), item),
        Ok(other) => {
            let message = "`#[service]` belongs on a trait: declare the methods in a trait and \
                           implement that for your type";
            syn::Error::new_spanned(other, message).into_compile_error()
        }
        Err(error) => error.into_compile_error(),
    };
    expanded.into()
}

/// Makes a struct or enum a message: it travels in every codec, as an argument, a result, or inside
/// other messages.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::message;
/// #[message(reserved(2))]
/// #[derive(Debug, Clone, PartialEq)]
/// pub struct Article {
///     pub id: u64,              // number 1
///     pub price: Option<f64>,   // number 3: a removed field had 2
///     #[rpc(tag = 9, name = "labels")]
///     pub tags: Vec<String>,
/// }
///
/// assert_eq!(Article::default().price, None);
/// ```
///
/// - A struct has named fields or none; it may be generic, and its type parameters are then
///   elements (`rpc_core::message::Element`).
/// - An enum without data travels by number in protobuf and by name elsewhere (`OutOfStock` as
///   `OUT_OF_STOCK`). Its first variant has number 0.
/// - An enum with data is a message of one `oneof`; a variant holds nothing, one value, list or map, or
///   named fields.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::message;
/// use dubhe::message::Element;
///
/// #[message]
/// #[derive(Debug, PartialEq)]
/// pub enum Payment {
///     Cash,
///     Voucher(String),
///     Card { number: String, expires: u32 },
/// }
///
/// #[message]
/// #[derive(Debug)]
/// pub struct Page<T: Element> {
///     pub items: Vec<T>,
///     pub next: Option<String>,
/// }
///
/// let page = Page { items: vec![Payment::Cash, Payment::Voucher("x7".into())], next: None };
/// let json = serde_json::to_string(&page).unwrap();
/// assert_eq!(json, r#"{"items":[{"cash":{}},{"voucher":"x7"}]}"#);
/// ```
///
/// Fields are numbered in the order of declaration, after `#[rpc(tag = n)]` from there on, without
/// those in `reserved(…)`: reserve the number of a field that you remove, and nothing else moves.
/// Names are the fields' own, lowerCamelCase in JSON and msgpack, or `#[rpc(name = "…")]`.
///
/// The same in every codec: an absent field is its default, an unknown one is skipped. `None` is
/// left out. An absent enum is its first variant; one of another version, which is unknown here, is
/// an error, unless a variant takes it:
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::message;
/// #[message]
/// #[derive(Debug, PartialEq)]
/// pub enum State {
///     Ordered,
///     Shipped,
///     #[rpc(other)]
///     Unknown,
/// }
///
/// let read: State = serde_json::from_str("\"RETURNED\"").unwrap();
/// assert_eq!(read, State::Unknown);
/// ```
///
/// - `#[rpc(other)]` stands on one variant that holds nothing, with a number and name like any other.
/// - In an enum without data it may hold what is unknown instead, and has none of its own then:
///   `Unknown(String)` keeps the name, or the number in digits where a format has no names;
///   `Unknown(i32)` keeps the number, and `i32::MIN` for a name.
///
/// On the type: `reserved(2, 3)`, `name` (in a `.proto`; the type's unless set), `class` (in
/// formats that carry foreign type names, such as `"com.shop.Order"`; also on fields, in
/// `#[rpc(…)]`), `own_default`, `crate` (where Dubhe is, `::dubhe` unless set).
///
/// # Newtypes
///
/// A struct of one field without a name is a newtype, in every form what it holds:
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::message;
/// #[message]
/// #[derive(Debug, PartialEq)]
/// pub struct Sku(u64);
///
/// assert_eq!(serde_json::to_string(&Sku(7)).unwrap(), "\"7\"");
/// ```
///
/// # What it adds
///
/// Adds `Default` unless it is derived below the attribute or `own_default` stands in it (for one
/// that you write, or derive above; a field that was not sent is absent all the same), serde's
/// `Serialize` and `Deserialize`
/// in the form of the codecs, and nothing else: `Debug`, `Clone` and `PartialEq` are yours to
/// derive. Place it above the derives. A message that holds itself needs an `Option<Box<Self>>` or
/// a `Vec<Self>` on the way, and an enum that does begins with a variant that does not: otherwise
/// its default would be infinite, which is a compile error.
#[proc_macro_attribute]
pub fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as Item);
    message::expand(arguments.into(), item).into()
}

/// Makes an enum the business error of methods: what a provider returns arrives as the same value.
///
/// ```
/// # extern crate rpc_core as dubhe;
/// # use dubhe_rpc_macros::error;
/// use dubhe::Status;
///
/// #[error]
/// #[derive(Debug)]
/// pub enum ShopError {
///     /// The shop is closed.
///     Closed,
///     #[rpc(code = "not_found", message = "no article {0}")]
///     NoArticle(String),
///     #[rpc(message = "only {left} of {sku}")]
///     OutOfStock { sku: String, left: u32 },
///     #[rpc(status)]
///     Status(Status),
/// }
///
/// let left = ShopError::OutOfStock { sku: "mug".into(), left: 2 };
/// assert_eq!(left.to_string(), "only 2 of mug");
///
/// // The failure of a call inside a handler passes by `?`.
/// fn passed_on(inner: Result<(), Status>) -> Result<(), ShopError> {
///     Ok(inner?)
/// }
/// let failed = passed_on(Err(Status::unavailable("no stock answers")));
/// assert!(matches!(failed, Err(ShopError::Status(_))));
/// ```
///
/// Variants are those of a message with data. Exactly one, marked `status`, holds every other
/// failure: those of the framework, such as a timeout, statuses without an error of this type, and
/// variants that this version does not know. It never travels as a value.
///
/// On a variant, in `#[rpc(…)]`: `code` (of the status that carries it; `failed_precondition`
/// unless set), `message` (its text, with `{0}` or the names of fields; else the first line of its
/// doc comment, else its name in words), `tag`, `name`.
///
/// Adds `Display`, `std::error::Error`, `From<Status>`, `Default` (the status variant) and
/// `Serialize`; derive `Debug` yourself.
#[proc_macro_attribute]
pub fn error(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match parse_macro_input!(item as Item) {
        Item::Enum(item) => message::error::expand(arguments.into(), item).into(),
        other => {
            let message = "an error is an enum: one variant for each thing that can go wrong, and \
                           `#[rpc(status)] Status(Status)` for failures of the framework";
            let name = match &other {
                Item::Struct(item) => Some(&item.ident),
                Item::Union(item) => Some(&item.ident),
                _ => None,
            };
            let error = match name {
                Some(name) => syn::Error::new_spanned(name, message),
                None => syn::Error::new_spanned(&other, message),
            };
            let error = error.into_compile_error();
            quote::quote!(#other #error).into()
        }
    }
}

/// Makes a struct the argument list of a method, as `#[service]` does; for tests of that form.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn arguments(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    message::expand_arguments_of(arguments.into(), &item).into()
}

fn expand_service(args: proc_macro2::TokenStream, item: ItemTrait) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let args = args::ServiceArgs::parse(args, &mut errors);
    let service = model::Service::new(args, item, &mut errors);
    check::check(&service, &mut errors);
    errors.into_tokens().unwrap_or_else(|| expand::expand(&service))
}
