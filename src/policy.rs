//! Which cluster policy a method gets: the one its settings name, with the `retries` that count,
//! if it can serve the method at all.
//!
//! `retries` may stand beside the name of a policy and among its parameters. The parameter is
//! written for that policy, so it wins, unless the key beside it stands in a more specific place or
//! a stronger source.

use std::fmt;
use std::sync::Arc;

use cluster::policy::ClusterPolicy;
use rpc_core::{BuildContext, Error, Method};

use crate::config::{Decided, MethodConfig, Origin};
use crate::extensions::Extensions;

/// The policy of the calls of `method`.
///
/// # Errors
/// A name that does not exist, parameters it does not take, a method it cannot serve, `retries`
/// that mean nothing to it: with the place that decided it.
pub(crate) fn of_method(
    extensions: &Extensions,
    settings: &MethodConfig,
    method: &Method,
    context: &BuildContext,
) -> Result<Arc<dyn ClusterPolicy>, Error> {
    let chosen = &settings.cluster;
    let at = |error: Error| error.at(place(chosen, method));
    let policy = extensions.policy(&chosen.value, context).map_err(at)?;
    policy.check(method).map_err(at)?;
    meant_for_all(&*policy, settings, method).map_err(at)?;
    with_retries(policy, settings, method)
}

/// Whether a method that changes something is to change it at every provider: that has to be said
/// of it or of its service, because every other policy runs such a call at most once.
fn meant_for_all(
    policy: &dyn ClusterPolicy,
    settings: &MethodConfig,
    method: &Method,
) -> Result<(), Error> {
    let chosen = &settings.cluster;
    let is_meant = method.is_idempotent() || chosen.strength.is_specific();
    if !policy.calls_everyone() || is_meant {
        return Ok(());
    }
    Err(Error::invalid_config(format!(
        "`{}` for all services would run {}, which is not idempotent, once at every provider: \
         choose it for the service or the method if that is meant, else choose another policy for \
         it",
        chosen.value.name,
        method.path()
    )))
}

fn with_retries(
    policy: Arc<dyn ClusterPolicy>,
    settings: &MethodConfig,
    method: &Method,
) -> Result<Arc<dyn ClusterPolicy>, Error> {
    let (cluster, retries) = (&settings.cluster, &settings.retries);
    let is_parameter = cluster.value.params.contains_key("retries");
    if retries.origin == Origin::Default || is_parameter && retries.strength <= cluster.strength {
        return Ok(policy);
    }
    match policy.with_retries(retries.value) {
        Some(policy) => Ok(policy),
        // Said of this method or service, and not overruled by the choice of another policy.
        None if retries.strength.is_specific() && retries.strength >= cluster.strength => {
            let (value, name) = (retries.value, &cluster.value.name);
            let error = Error::invalid_config(format!(
                "retries = {value} means nothing to the policy `{name}` of {} ({}), which takes \
                 none: remove it, or choose a policy that takes retries, such as failover",
                method.path(),
                place(cluster, method)
            ));
            Err(error.at(place(retries, method)))
        }
        None => Ok(policy),
    }
}

/// Where a setting of `method` was made, in words.
fn place<T>(decided: &Decided<T>, method: &Method) -> impl fmt::Display {
    let Decided { key, origin, .. } = decided;
    match origin {
        Origin::Attribute => {
            let name = key.rsplit('.').next().unwrap_or_default();
            format!("attribute on the trait: {name} of {}", method.path())
        }
        origin => format!("{origin}: {key}"),
    }
}
