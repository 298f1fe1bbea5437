//! Decides whether an instance may be registered: by the owner of its address, and by the shares of
//! one connection and of all.
//!
//! An address of a service belongs to the client that registered it, which is known again by its
//! [secret](super::secret) in its next session. Another one gets it when that client's connection
//! is closed or its renewal overdue, so that a provider that died and came back is listed again
//! soon. What one connection may hold is a fixed part of what all may, and where all is full,
//! instances whose connection is closed give way at once.

use rpc_core::Instance;
use tokio::time::Instant;

use super::caller::Registrant;
use super::settings::RegistryServerConfig;
use super::table::{InstanceKey, InstanceTable, LeasedInstance, StoredInstance};
use crate::sound;

/// The effects of a registration.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Instances that were removed for it.
    pub(crate) removed: Vec<InstanceKey>,
    /// Its record for the store, if that has changed.
    pub(crate) news: Option<StoredInstance>,
}

/// By how much the limits of the whole would be exceeded.
#[derive(Debug, Default)]
struct Excess {
    instances: usize,
    list: usize,
    bytes: usize,
}

impl InstanceTable {
    /// Registers `instance` for `caller`, which becomes its owner.
    ///
    /// # Errors
    /// It is not sound, its address belongs to another client, or a limit is reached; the text says
    /// which, and what to do.
    pub(crate) fn register(
        &mut self,
        instance: Instance,
        caller: &Registrant,
        (now, limits): (Instant, &RegistryServerConfig),
    ) -> Result<Admitted, String> {
        sound::check(&instance)?;
        let key = InstanceKey::of(&instance);
        let bytes = serde_json::to_vec(&instance).map_or(0, |json| json.len());
        if bytes > limits.max_instance {
            let max = limits.max_instance;
            return Err(format!(
                "the instance has {bytes} bytes of JSON and may have {max} (max_instance), \
                 shorten its metadata"
            ));
        }
        let mut removed = self.given_up(&key, caller, (now, limits))?;
        self.check_share(&key, (caller.connection, bytes), limits)?;
        self.make_room(&key, bytes, &mut removed, limits)?;
        for key in &removed {
            self.remove(key);
        }
        let record = StoredInstance { instance: instance.into(), secret: caller.secret.clone() };
        let is_news = self.entry(&key).is_none_or(|old| old.record != record);
        let entry = LeasedInstance {
            record: record.clone(),
            owner: caller.connection,
            renewed: now,
            expires: now + limits.lease,
            is_closed: false,
            bytes,
        };
        self.insert(key, entry);
        Ok(Admitted { removed, news: is_news.then_some(record) })
    }

    /// Takes an instance off its list for `caller`; returns whether it was there.
    ///
    /// # Errors
    /// It belongs to another client.
    pub(crate) fn unregister(
        &mut self,
        key: &InstanceKey,
        caller: &Registrant,
    ) -> Result<bool, String> {
        if self.entry(key).is_some_and(|entry| !entry.is_of(caller)) {
            let address = sound::plain(&key.address);
            return Err(format!(
                "{address} is listed by another client, which alone may remove it"
            ));
        }
        Ok(self.remove(key))
    }

    /// Instances at the address of `key` whose other owners have given them up.
    fn given_up(
        &self,
        key: &InstanceKey,
        caller: &Registrant,
        (now, limits): (Instant, &RegistryServerConfig),
    ) -> Result<Vec<InstanceKey>, String> {
        let mut given_up = Vec::new();
        for (key, entry) in self.at(&key.service, &key.address) {
            if entry.is_of(caller) {
                continue;
            }
            if !entry.is_closed && !entry.record.secret.is_empty() && entry.is_in_time(now, limits)
            {
                let (address, silence) = (&key.address, limits.longest_silence());
                return Err(format!(
                    "{address} is listed by another client that still answers: if that is an \
                     earlier start of this provider, it is replaced when it has closed its \
                     connection or was silent for {silence:?}; if it is another provider, give \
                     one of them another provider.advertise"
                ));
            }
            given_up.push(key.clone());
        }
        Ok(given_up)
    }

    /// Fails if a connection would hold more than its share.
    fn check_share(
        &self,
        key: &InstanceKey,
        (connection, bytes): (u64, usize),
        limits: &RegistryServerConfig,
    ) -> Result<(), String> {
        let Some(owned) = self.owned_by(connection) else {
            return Ok(());
        };
        let old = self.entry(key).filter(|_| owned.keys.contains(key));
        if owned.keys.len() >= limits.max_per_connection && old.is_none() {
            let max = limits.max_per_connection;
            return Err(format!("a connection may register {max} (max_per_connection)"));
        }
        if owned.bytes + bytes - old.map_or(0, |old| old.bytes) > limits.max_bytes_per_connection {
            let max = limits.max_bytes_per_connection;
            return Err(format!(
                "a connection's instances may have {max} bytes of JSON together \
                 (max_bytes_per_connection)"
            ));
        }
        Ok(())
    }

    /// Adds to `removed` what has to give way so that `bytes` more fit in.
    fn make_room(
        &self,
        key: &InstanceKey,
        bytes: usize,
        removed: &mut Vec<InstanceKey>,
        limits: &RegistryServerConfig,
    ) -> Result<(), String> {
        let (mut instances, mut list) = (self.len() + 1, self.list_bytes(&key.service) + bytes);
        let mut all = self.bytes() + bytes;
        let old = (!removed.contains(key)).then_some(key);
        for gone in removed.iter().chain(old).filter_map(|key| self.entry(key)) {
            instances -= 1;
            list -= gone.bytes;
            all -= gone.bytes;
        }
        let mut excess = Excess {
            instances: instances.saturating_sub(limits.max_instances),
            list: list.saturating_sub(limits.max_list),
            bytes: all.saturating_sub(limits.max_bytes),
        };
        if excess.is_none() {
            return Ok(());
        }
        for (closed, entry) in self.closed() {
            let is_listed = closed.service == key.service;
            let helps = excess.instances > 0 || excess.bytes > 0 || (is_listed && excess.list > 0);
            if !helps || closed == key || removed.contains(closed) {
                continue;
            }
            removed.push(closed.clone());
            excess.less(entry.bytes, is_listed);
            if excess.is_none() {
                return Ok(());
            }
        }
        Err(excess.told(limits))
    }
}

impl LeasedInstance {
    /// Whether `caller` registered it.
    fn is_of(&self, caller: &Registrant) -> bool {
        self.owner == caller.connection || self.record.secret == caller.secret
    }
}

impl Excess {
    fn is_none(&self) -> bool {
        self.instances == 0 && self.list == 0 && self.bytes == 0
    }

    fn less(&mut self, bytes: usize, is_listed: bool) {
        self.instances = self.instances.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.list = self.list.saturating_sub(if is_listed { bytes } else { 0 });
    }

    fn told(&self, limits: &RegistryServerConfig) -> String {
        let RegistryServerConfig { max_instances, max_list, max_bytes, .. } = limits;
        if self.instances > 0 {
            format!("the registry holds {max_instances} instances, its limit (max_instances)")
        } else if self.list > 0 {
            format!("the service's list would exceed {max_list} bytes (max_list)")
        } else {
            format!("the registry's instances would exceed {max_bytes} bytes (max_bytes)")
        }
    }
}
