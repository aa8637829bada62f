//! The labels by which the alerts of one service are told from those of others.

use std::collections::BTreeMap;

use super::DeliverConfig;
use crate::{
    alert::deliver::{INSTANCE, Identity, JOB},
    monitor::{config::Config, service},
};

/// Returns the identity of this service. It is the same after a restart, so that the alerts are the same: `instance` is the
/// configured one or the name of the machine, never a random one.
pub(super) fn of(config: &Config, deliver: &DeliverConfig, variable: impl Fn(&str) -> Option<String>) -> Identity {
    let program = || Some(std::env::current_exe().ok()?.file_stem()?.to_string_lossy().into_owned());
    let job = service::name(config, &variable).map(|name| name.to_string()).or_else(program);
    let instance = service::instance(config, &variable).map(|id| id.to_string()).or_else(sysinfo::System::host_name);
    let own = [(JOB, job), (INSTANCE, instance)];
    let mut labels: BTreeMap<_, _> =
        own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    labels.extend(deliver.labels.clone());
    Identity { labels, version: config.service_version.as_ref().map(ToString::to_string) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_known_by_its_name_and_instance_and_the_labels_of_the_settings() {
        let config = Config {
            service_name: Some("shop".into()),
            service_version: Some("1.2.3".into()),
            service_instance_id: Some("shop-7".into()),
            ..Config::default()
        };
        let labels = [("team", "shop"), ("instance", "web-1")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let deliver = DeliverConfig { labels, ..DeliverConfig::default() };
        let identity = of(&config, &deliver, |_| None);
        let expected = [("instance", "web-1"), ("job", "shop"), ("team", "shop")];
        assert_eq!(identity.labels.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>(), expected);
        assert_eq!(identity.version.as_deref(), Some("1.2.3"));
    }

    #[test]
    fn without_settings_the_identity_is_still_the_same_each_time() {
        let of_now = || of(&Config::default(), &DeliverConfig::default(), |_| None);
        assert_eq!(of_now(), of_now());
        assert!(of_now().labels.contains_key(JOB));
    }
}
