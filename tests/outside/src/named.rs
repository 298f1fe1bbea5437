//! Every type that something public takes or returns has a name in the facade, so that a program can
//! put it into a field or a signature of its own.

use dubhe::{config, descriptor, extend};

/// Compiles for what has a name.
const fn named<T: ?Sized>() -> usize {
    size_of::<&T>()
}

#[test]
fn what_calls_and_clients_return_has_a_name() {
    let names = [
        // Of a status, its attempts and its log.
        named::<dubhe::AttemptFailure>(),
        named::<dubhe::AttemptRecord>(),
        named::<dubhe::AttemptOutcome>(),
        named::<dubhe::Details>(),
        named::<dubhe::Delivery>(),
        named::<dubhe::CallId>(),
        named::<dubhe::RequestId>(),
        named::<dubhe::ParseServiceKeyError>(),
        // Of a consumer and a provider.
        named::<dubhe::MethodMetrics>(),
        named::<dubhe::GateState>(),
        named::<dubhe::MethodExplanation>(),
        named::<dubhe::DisabledInstance>(),
        named::<dubhe::DirectoryState>(),
        named::<dubhe::Backlog>(),
        named::<dubhe::DrainReport>(),
        named::<dubhe::ReplyMetadata>(),
        named::<dubhe::describe::GateDescription>(),
        named::<dubhe::describe::ToldEach<dubhe::describe::ServiceDescription>>(),
        named::<dyn dubhe::Handler>(),
        named::<dubhe::Interceptor<fn(&mut dubhe::Invocation) -> dubhe::Result<()>>>(),
        named::<config::CallScope>(),
        named::<config::LeftOut>(),
        named::<config::Setting>(),
        // Of a trait as data.
        named::<descriptor::ServiceDescriptor>(),
        named::<descriptor::MethodDescriptor>(),
        named::<descriptor::MessageType>(),
        named::<descriptor::FieldType>(),
        named::<descriptor::EnumType>(),
        named::<descriptor::VariantType>(),
        named::<descriptor::Shape>(),
        named::<descriptor::Type>(),
        named::<descriptor::MakeFallback>(),
    ];
    assert!(names.iter().all(|size| *size > 0));
}

#[test]
fn what_the_contracts_take_and_return_has_a_name() {
    let names = [
        named::<extend::Stub>(),
        named::<extend::StubMethod>(),
        named::<extend::Plan>(),
        named::<extend::EndpointFuture>(),
        named::<extend::AttemptLayers>(),
        named::<extend::Left>(),
        named::<extend::PickerParts>(),
        named::<extend::RouterChain>(),
        named::<extend::ChosenRouter>(),
        named::<extend::Directory>(),
        named::<extend::DirectoryOptions>(),
        named::<extend::Overrides>(),
        named::<extend::EjectionConfig>(),
        named::<extend::Host>(),
        named::<extend::DecodeError>(),
        named::<extend::TooDeep>(),
        named::<extend::BoxError>(),
        named::<extend::Protocols>(),
        named::<extend::ServerState>(),
        named::<extend::ServerConfig>(),
        named::<extend::Dispatcher>(),
        named::<extend::Route>(),
        named::<extend::Caller>(),
        named::<extend::CallGuard>(),
        named::<extend::ConnectionGuard>(),
        named::<extend::Reading<'static>>(),
        named::<extend::LocalServers>(),
        named::<extend::LocalGuard>(),
    ];
    assert!(names.iter().all(|size| *size > 0));
}

/// Traits that are bounds of something public.
const fn bounds<A: extend::Arguments, V: extend::Value>() {}

#[test]
fn bounds_have_names() {
    bounds::<dubhe::Body, u32>();
}
