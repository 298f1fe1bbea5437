//! Two versions of a result, what is said of them, and what the codecs do.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::BytesMut;
use dubhe::ServiceClient;
use dubhe::describe::{BodyForm, Difference, Peers, ReadOutcome, ServiceDescription};
use dubhe::descriptor::{MethodDescriptor, ServiceDescriptor};
use dubhe::extend::{Limits, Stub};
use rpc_core::Codec;
use rpc_core::message::{Describe as _, Field, Message, Returned};

/// A service whose one method returns `R`.
#[derive(Clone)]
struct Returning<R>(PhantomData<R>);

impl<R: Field> Returning<R> {
    const METHODS: &'static [MethodDescriptor] =
        &[MethodDescriptor::new("get", Returned::<()>::message_type, Returned::<R>::message_type)];
}

impl<R: Field + Clone> ServiceClient for Returning<R> {
    const DESCRIPTOR: &'static ServiceDescriptor =
        &ServiceDescriptor::new("test.Get", Self::METHODS);

    fn from_stub(_: Stub) -> Self {
        Self(PhantomData)
    }

    fn stub(_: &Self) -> &Stub {
        unreachable!("nobody calls it")
    }
}

/// A service that returns `R`, as data.
pub fn returning<R: Field + Clone>() -> ServiceDescription {
    ServiceDescription::of::<Returning<R>>()
}

/// What is said of a result that was `Old` and is `New`.
pub fn difference<Old: Field + Clone, New: Field + Clone>() -> Difference {
    returning::<Old>().difference(&returning::<New>())
}

/// What those `peers` are said to have of the result in place of values, in one codec.
pub fn said(difference: &Difference, peers: Peers, form: BodyForm) -> BTreeSet<ReadOutcome> {
    let effects = difference.findings.iter().flat_map(|finding| &finding.effects);
    let of_both = effects.filter(|it| (it.peers, it.form) == (peers, form));
    of_both.map(|effect| effect.outcome).collect()
}

pub fn codec(form: BodyForm) -> Arc<dyn Codec> {
    codecs::builtin().build(form.name(), rpc_core::Params::new()).unwrap()
}

/// What a reader of `R` has of what was written as `W`; `None` if it refuses it.
pub fn convert<W: Field, R: Field>(written: W, form: BodyForm) -> Option<R> {
    reread(&Returned(written), form).map(|Returned(read)| read)
}

fn reread<W: Message, R: Message + Default>(written: &W, form: BodyForm) -> Option<R> {
    let codec = codec(form);
    let mut bytes = BytesMut::new();
    codec.encode(written, &mut bytes).unwrap();
    let mut read = R::default();
    codec.decode(bytes.freeze(), &mut read, &mut Limits::default()).ok()?;
    Some(read)
}
