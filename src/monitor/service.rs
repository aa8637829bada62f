//! [`Service`]: the name, version and instance of the service, for `target_info`.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, LazyLock},
};

use percent_encoding::percent_decode_str;

use super::config::Config;
use crate::names;

/// Variables of OpenTelemetry; the builder and the monitor's own settings go before them.
const NAME: &str = "OTEL_SERVICE_NAME";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The same in all monitors of a process: a version 4 UUID of the random keys that the standard library takes from the system.
static INSTANCE: LazyLock<Arc<str>> =
    LazyLock::new(|| uuid(RandomState::new().hash_one(0), RandomState::new().hash_one(1)));

/// A service with a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Service {
    name: Arc<str>,
    version: Option<Arc<str>>,
    instance: Arc<str>,
}

impl Service {
    /// Returns the service; `None` where nothing names it. `variable` reads the environment.
    pub(super) fn of(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let attributes = variable(ATTRIBUTES).unwrap_or_default();
        Some(Self {
            name: name(config, &variable)?,
            version: config.service_version.clone().or_else(|| attribute(&attributes, "service.version")),
            instance: instance(config, &variable).unwrap_or_else(|| INSTANCE.clone()),
        })
    }

    pub(super) fn labels(self) -> Vec<(&'static str, Arc<str>)> {
        let version = self.version.map(|version| (names::SERVICE_VERSION, version));
        let name = [(names::SERVICE_NAME, self.name)].into_iter();
        name.chain(version).chain([(names::SERVICE_INSTANCE, self.instance)]).collect()
    }
}

/// Returns the name of the service; `None` where nothing names it.
pub(super) fn name(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Option<Arc<str>> {
    let of_environment = || {
        let named = variable(NAME).filter(|name| !name.is_empty()).map(Arc::from);
        named.or_else(|| attribute(&variable(ATTRIBUTES)?, "service.name"))
    };
    config.service_name.clone().or_else(of_environment)
}

/// Returns which process of the service this is, where that is set.
pub(super) fn instance(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Option<Arc<str>> {
    let of_environment = || attribute(&variable(ATTRIBUTES)?, "service.instance.id");
    config.service_instance_id.clone().or_else(of_environment)
}

/// Returns the value of an attribute in a list such as `service.name=shop,deployment.environment.name=test`. Values are
/// percent-encoded, as in W3C Baggage.
fn attribute(list: &str, name: &str) -> Option<Arc<str>> {
    let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name)?;
    let value = percent_decode_str(value).decode_utf8_lossy();
    (!value.is_empty()).then(|| value.into())
}

/// Returns 122 of these bits as a UUID of version 4 (RFC 9562).
fn uuid(high: u64, low: u64) -> Arc<str> {
    let high = high & !0xf000 | 0x4000;
    let low = low & (u64::MAX >> 2) | 1 << 63;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: [Option<&str>; 3], variables: [Option<&str>; 2], expected: Option<[Option<&str>; 2]>) {
        let [service_name, service_version, service_instance_id] = config.map(|text| text.map(Arc::from));
        let config = Config { service_name, service_version, service_instance_id, ..Config::default() };
        let variable = |name: &str| {
            let at = [NAME, ATTRIBUTES].iter().position(|known| *known == name).expect("one of them");
            variables[at].map(str::to_owned)
        };
        let service = Service::of(&config, variable);
        let found = service.as_ref().map(|service| [Some(&*service.name), service.version.as_deref()]);
        assert_eq!(found, expected);
    }

    #[test]
    fn settings_go_before_the_variables_and_the_name_before_the_attributes() {
        let attributes = Some("service.version=2, service.name = from%20attributes ,other=x");
        check([None; 3], [None, None], None);
        check([None; 3], [Some(""), Some("service.version=2")], None);
        check([None; 3], [Some("shop"), None], Some([Some("shop"), None]));
        check([None; 3], [Some("shop"), attributes], Some([Some("shop"), Some("2")]));
        check([None; 3], [None, attributes], Some([Some("from attributes"), Some("2")]));
        check([Some("set"), Some("1"), None], [Some("shop"), attributes], Some([Some("set"), Some("1")]));
        for odd in ["service.name", "=", ",,", "service.name=", "service.names=x"] {
            check([None; 3], [None, Some(odd)], None);
        }
        check([None; 3], [None, Some("service.name=100%,x=1")], Some([Some("100%"), None]));
    }

    #[test]
    fn an_instance_is_as_set_or_a_uuid_for_the_process() {
        let instance = |set: Option<&str>, attributes: &str| {
            let config = Config {
                service_name: Some("shop".into()),
                service_instance_id: set.map(Arc::from),
                ..Config::default()
            };
            let variable = |name: &str| (name == ATTRIBUTES).then(|| attributes.to_owned());
            Service::of(&config, variable).expect("it has a name").instance
        };
        assert_eq!(&*instance(Some("a"), "service.instance.id=b"), "a");
        assert_eq!(&*instance(None, "service.instance.id=b"), "b");
        assert_eq!(instance(None, ""), instance(None, ""));
        assert_eq!(&*uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(&*uuid(0, 0), "00000000-0000-4000-8000-000000000000");
    }
}
