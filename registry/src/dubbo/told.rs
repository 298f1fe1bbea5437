//! What has been logged about lists, so that a fault that lasts is told now and then, and not with every
//! change.

use std::sync::atomic::{AtomicBool, Ordering};

use rpc_core::{Error, ServiceKey};

use super::mapping::MAX_APPLICATIONS;
use super::merged::Note;
use crate::sound::{Teller, UnsoundInstances, plain};

/// The log lines of a registry; they outlive its sessions.
#[derive(Debug, Default)]
pub(crate) struct ToldOfTrees {
    pub(super) malformed: Teller,
    pub(super) notes: Teller,
    unread: Teller,
    closed: Teller,
    no_overrides: Teller,
    consumers: Teller,
    pub(super) unlisted: Teller,
    pub(super) long_mappings: Teller,
    no_record: AtomicBool,
}

impl ToldOfTrees {
    /// Nodes that stand for no instance.
    pub(super) fn malformed(
        &self,
        registry: &str,
        service: &ServiceKey,
        left_out: &UnsoundInstances,
    ) {
        self.malformed.tell(registry, service, left_out);
    }

    /// Instances that are listed and not called, or not listed, and why.
    pub(super) fn notes(&self, registry: &str, service: &ServiceKey, notes: &[Note]) {
        if notes.is_empty() || !self.notes.is_due(service) {
            return;
        }
        let notes: Vec<String> = notes.iter().map(Note::to_string).collect();
        let notes = notes.join("; ");
        tracing::info!(
            target: "dubhe::registry::list",
            registry, %service, notes, "some providers are not called"
        );
    }

    /// Entries of consumers that stand for nobody.
    pub(super) fn no_consumers(
        &self,
        registry: &str,
        service: &ServiceKey,
        left_out: &UnsoundInstances,
    ) {
        let UnsoundInstances { count, why } = left_out;
        if *count > 0 && self.consumers.is_due(service) {
            tracing::warn!(
                target: "dubhe::registry::list",
                registry,
                %service,
                left_out = count,
                why,
                "entries of consumers cannot be read and are left out of the list"
            );
        }
    }

    /// Applications that the mapping of a service names and nobody reads.
    pub(super) fn long_mapping(&self, registry: &str, service: &ServiceKey, left_out: usize) {
        if left_out > 0 && self.long_mappings.is_due(service) {
            tracing::warn!(
                target: "dubhe::registry::list",
                registry,
                %service,
                left_out,
                read = MAX_APPLICATIONS,
                "the mapping of a service names more applications than are read, the providers of the rest are missing: \
                 remove those from the mapping that provide it no more"
            );
        }
    }

    /// Services of which this process cannot list itself as a consumer.
    pub(super) fn unlisted(&self, registry: &str, services: &UnsoundInstances) {
        let UnsoundInstances { count, why } = services;
        if *count > 0 && self.unlisted.is_due(&ServiceKey::new("*")) {
            tracing::warn!(
                target: "dubhe::registry",
                registry,
                services = count,
                why,
                "this process cannot be listed as a consumer, which keeps no call from its way and is tried again: let \
                 its user write there, or set register-consumer=false"
            );
        }
    }

    /// Folders that could not be read when every service was asked for.
    pub(super) fn unread(&self, registry: &str, folders: &UnsoundInstances) {
        let UnsoundInstances { count, why } = folders;
        if *count > 0 && self.unread.is_due(&ServiceKey::new("*")) {
            tracing::warn!(
                target: "dubhe::registry::list",
                registry,
                unread = count,
                why,
                "folders cannot be read, what they list is missing"
            );
        }
    }

    /// A level that could not be read when every service was asked for.
    pub(super) fn closed(&self, registry: &str, level: &str, error: &Error) {
        if self.closed.is_due(&ServiceKey::new(level)) {
            tracing::warn!(
                target: "dubhe::registry::list",
                registry,
                level,
                %error,
                "a level cannot be read, what it alone lists is missing"
            );
        }
    }

    /// Names of nodes among the overrides of a service that stand for none.
    pub(super) fn no_overrides(&self, registry: &str, service: &ServiceKey, names: &[&str]) {
        let Some(first) = names.first() else { return };
        if !self.no_overrides.is_due(service) {
            return;
        }
        tracing::warn!(
            target: "dubhe::registry::list",
            registry,
            %service,
            count = names.len(),
            such_as = plain(first),
            "nodes among the overrides of a service have no effect, their names begin neither with \
             override:// nor with absent://"
        );
    }

    /// Providers are registered at the interface level alone, because of their application's name.
    pub(super) fn no_record(&self, registry: &str, why: &str) {
        if !self.no_record.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "dubhe::registry",
                registry,
                why,
                "providers are registered at the interface level alone"
            );
        }
    }
}
