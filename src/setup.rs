//! What both builders begin with: settings, where they come from, and what can be chosen by name.

use rpc_core::{Code, Delivery, Error, Status};

use crate::config::{Config, Layer, LeftOut, Overruled, Sources};
use crate::extensions::Extensions;
use crate::rules::Effects;

/// The common part of a consumer's and a provider's builder.
#[derive(Debug, Default, Clone)]
pub(crate) struct Setup {
    pub(crate) layer: Layer,
    pub(crate) sources: Option<Sources>,
    /// What the program itself orders while it runs.
    pub(crate) rules: Layer,
    /// What rules of config centres order, which is weaker.
    pub(crate) effects: Effects,
    /// What was read last of the sources, if they are not to be read again.
    pub(crate) read: Option<Sources>,
    pub(crate) extensions: Extensions,
}

impl Setup {
    /// The settings in force, their extensions known to exist. What the builder set comes before
    /// what the sources' own builder layer sets; without sources, the process is asked.
    pub(crate) fn load(&mut self) -> Result<Config, Error> {
        let config = self.settings()?;
        self.extensions.check(&config)?;
        Ok(config)
    }

    /// Loads the settings without the extensions whose names are unknown, and lists these.
    pub(crate) fn load_known(&mut self) -> Result<(Config, Vec<LeftOut>), Error> {
        let mut config = self.settings()?;
        self.extensions.check_known(&config)?;
        let left_out = config.leave_out_unknown(|kind, chosen| self.extensions.knows(kind, chosen));
        Ok((config, left_out))
    }

    fn settings(&mut self) -> Result<Config, Error> {
        let read = match (self.read.take(), &self.sources) {
            (Some(read), _) => read,
            (None, Some(sources)) => Sources {
                builder: self.layer.clone().then(sources.builder.clone()),
                ..sources.clone()
            },
            (None, None) => Sources::of_process(self.layer.clone())?,
        };
        let rules = self.effects.layer().then(read.rules.clone()).then(self.rules.clone());
        let file = read.file.as_ref().map(|file| self.shown(&file.path));
        let config = Config::load(Sources { rules, ..read.clone() })?;
        self.read = Some(read);
        tell(file.as_deref(), config.overruled());
        Ok(config)
    }

    /// The path of a configuration file for people: whole, if it was found in the working directory.
    fn shown(&self, path: &str) -> String {
        let whole = self.sources.is_none().then(|| std::path::absolute(path).ok()).flatten();
        whole.map_or_else(|| path.to_owned(), |whole| whole.display().to_string())
    }
}

/// Logs which file is in force and which settings of the code it replaced, so that a forgotten file
/// is noticed.
fn tell(file: Option<&str>, Overruled { replaced, kept, passed_over }: &Overruled) {
    if !passed_over.is_empty() {
        let variables = passed_over.join(", ");
        tracing::warn!(
            target: "dubhe::config",
            variables,
            "these set nothing: they look like those that Kubernetes and Docker make for a service \
             whose name begins with `dubhe`"
        );
    }
    if file.is_none() && replaced.is_empty() && kept.is_empty() {
        return;
    }
    let file = file.unwrap_or("none");
    if kept.is_empty() {
        tracing::info!(target: "dubhe::config", file, %replaced, "settings from outside the code");
    } else {
        let text = "settings from outside the code; memory:// in code stays";
        tracing::info!(target: "dubhe::config", file, %replaced, not_in_force = %kept, "{text}");
    }
}

/// A failure to set something up, as that of a call that never began. A registry that refuses us was
/// asked, unlike settings that cannot work.
pub(crate) fn set_up(error: Error) -> Status {
    let code = if error.is_refused() { Code::Unauthenticated } else { Code::FailedPrecondition };
    Status::new(code, error.to_string()).with_delivery(Delivery::NotSent).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::config::{MethodDefaults, Origin, Selector};

    #[test]
    fn what_a_builder_sets_counts_beside_given_sources_which_are_stronger() {
        let layer = Layer::new().set("consumer.timeout", "2s").set("consumer.retries", 5);
        let builder = Layer::new().set("consumer.retries", 1);
        let sources = Some(Sources { builder, ..Sources::default() });
        let config = Setup { layer, sources, ..Setup::default() }.load().unwrap();
        assert_eq!(config.consumer.timeout, Duration::from_secs(2));
        assert_eq!(config.consumer.retries, 1);
    }

    #[test]
    fn what_is_not_known_is_left_out_as_if_it_were_not_set_and_is_told() {
        let layer = Layer::new()
            .set("consumer.loadbalance", "nth")
            .set("consumer.routers", serde_json::json!(["own"]))
            .set("consumer.services.Greeter.cluster", "mine")
            .set("consumer.services.Greeter.methods.hello.codec", "pretty");
        let sources = Some(Sources::default());
        let mut setup = Setup { layer, sources, ..Setup::default() };
        assert!(setup.load().is_err());
        let (config, left_out) = setup.load_known().unwrap();
        let told: Vec<_> = left_out.iter().map(|it| (&*it.key, &*it.name)).collect();
        let expected = [
            ("consumer.loadbalance", "nth"),
            ("consumer.routers", "own"),
            ("consumer.services.Greeter.methods.hello.codec", "pretty"),
            ("consumer.services.Greeter.cluster", "mine"),
        ];
        assert_eq!(BTreeSet::from_iter(told), BTreeSet::from(expected));
        let greeter = rpc_core::ServiceKey::new("Greeter");
        let attribute =
            MethodDefaults { cluster: Some(Selector::new("failfast")), ..Default::default() };
        let hello = config.method(&greeter, "hello", &attribute);
        assert_eq!((&*hello.codec.value, hello.codec.origin), ("protobuf", Origin::Default));
        assert_eq!(
            (&*hello.cluster.value.name, hello.cluster.origin),
            ("failfast", Origin::Attribute)
        );
        assert_eq!(
            (&*hello.loadbalance.value.name, hello.loadbalance.origin),
            ("p2c", Origin::Default)
        );
        assert!(hello.routers.value.is_empty());
    }
}
