//! A description whose types and methods are found by name at once.

use std::collections::HashMap;

use super::budget::Budget;
use crate::describe::types::{
    EnumDescription, MessageDescription, MethodDescription, ServiceDescription, TypeDescription,
};

/// The longest name that is compared, in bytes. Names stand in what is found, many times.
const MAX_NAME: usize = 1000;

/// A version of a service.
#[derive(Debug)]
pub(super) struct Types<'a> {
    pub(super) service: &'a ServiceDescription,
    messages: HashMap<&'a str, &'a MessageDescription>,
    enums: HashMap<&'a str, &'a EnumDescription>,
    methods: HashMap<&'a str, &'a MethodDescription>,
    budget: &'a Budget,
}

impl<'a> Types<'a> {
    /// `None` if a name is longer than names are.
    pub(super) fn new(service: &'a ServiceDescription, budget: &'a Budget) -> Option<Self> {
        if names(service).any(|name| name.len() > MAX_NAME) {
            return None;
        }
        let mut types = Self {
            service,
            messages: HashMap::new(),
            enums: HashMap::new(),
            methods: HashMap::new(),
            budget,
        };
        // Of two of one name the first counts, as elsewhere.
        for message in &service.messages {
            types.messages.entry(&message.name).or_insert(message);
        }
        for of in &service.enums {
            types.enums.entry(&of.name).or_insert(of);
        }
        for method in &service.methods {
            types.methods.entry(&method.name).or_insert(method);
        }
        Some(types)
    }

    pub(super) fn message(&self, name: &str) -> Option<&'a MessageDescription> {
        self.messages.get(name).copied()
    }

    pub(super) fn enumeration(&self, name: &str) -> Option<&'a EnumDescription> {
        self.enums.get(name).copied()
    }

    pub(super) fn method(&self, name: &str) -> Option<&'a MethodDescription> {
        self.methods.get(name).copied()
    }

    /// Pays for comparing; `None` if nothing is left.
    pub(super) fn spend(&self, units: usize) -> Option<()> {
        self.budget.spend(units)
    }
}

/// Every name that is compared.
fn names(service: &ServiceDescription) -> impl Iterator<Item = &str> {
    let methods = service.methods.iter().flat_map(|method| {
        let all = [&method.name, &method.arguments, &method.reply];
        all.into_iter().chain(&method.error).chain(&method.cluster)
    });
    let messages = service.messages.iter().flat_map(|message| {
        let fields = message.fields.iter().flat_map(|field| {
            let types = std::iter::once(&field.value).chain(&field.key);
            let types = types.map(|of: &TypeDescription| &of.name);
            [&field.name, &field.json_name].into_iter().chain(types)
        });
        std::iter::once(&message.name).chain(fields)
    });
    let enums = service.enums.iter().flat_map(|of| {
        let values = of.values.iter().flat_map(|value| [&value.name, &value.rust_name]);
        std::iter::once(&of.name).chain(values)
    });
    let own = std::iter::once(&service.service);
    own.chain(methods).chain(messages).chain(enums).map(String::as_str)
}
