//! [`unknown`]: variables of the environment that were meant as settings and are none.
//!
//! The invariant that a change could break: nobody's typing mistake is ignored. A guard that was misspelt leaves open what it
//! was to close.

use super::table::{PREFIX, SETTINGS, Setting};
use crate::rules::nearest;

/// Variables of the load tester, which may run in the same shell.
const OF_THE_LOAD_TESTER: [&str; 2] = ["PINCHPOINT_BASE_URL", "PINCHPOINT_MONITOR_TOKEN"];

/// Letters by which a whole name may differ from that of a setting where its prefix is wrong too.
const SLIPS: usize = 2;

/// Returns what is wrong with the name of a variable, or `None` where it is that of a setting or has another meaning.
pub(super) fn unknown(name: &str) -> Option<String> {
    let mut variables = SETTINGS.iter().map(Setting::variable);
    // Names of variables have no case on Windows.
    let is = |known: &str| known == name || cfg!(windows) && known.eq_ignore_ascii_case(name);
    if variables.clone().any(|known| is(&known)) || OF_THE_LOAD_TESTER.into_iter().any(is) {
        return None;
    }
    let capitals = name.to_uppercase();
    let Some(key) = capitals.strip_prefix(PREFIX) else {
        let meant = variables.find(|known| strsim::damerau_levenshtein(&capitals, known) <= SLIPS)?;
        return Some(format!("unknown variable; did you mean {meant}?"));
    };
    if is_service_link(&format!("_{key}")) {
        return None;
    }
    Some(match nearest(key, SETTINGS.iter().map(|setting| setting.key)) {
        Some(meant) => format!("unknown variable; did you mean {PREFIX}{}?", meant.to_uppercase()),
        None => format!("unknown variable; expected one of {}", variables.collect::<Vec<_>>().join(", ")),
    })
}

/// Returns whether Kubernetes adds a variable that ends so, to every container beside a Service called `pinchpoint` or
/// `pinchpoint-…`: `PINCHPOINT_SERVICE_HOST`, `PINCHPOINT_PORT_9000_TCP_ADDR`.
fn is_service_link(end: &str) -> bool {
    let is_of_a_port = end.match_indices("_PORT_").any(|(at, port)| {
        let mut words = end[at + port.len()..].split('_');
        words.next().is_some_and(|number| number.parse::<u16>().is_ok())
            && words.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
    });
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"].into_iter().any(|known| end.ends_with(known))
        || end.contains("_SERVICE_PORT_")
        || is_of_a_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, meant: Option<&str>) {
        let expected = meant.map(|meant| format!("unknown variable; did you mean {meant}?"));
        assert_eq!(unknown(name), expected, "{name}");
    }

    #[test]
    fn a_misspelt_variable_names_the_setting_that_was_meant() {
        check("PINCHPOINT_METRIC_TOKEN", Some("PINCHPOINT_METRICS_TOKEN"));
        check("PINCHPOINT_METRICS_TOKNE", Some("PINCHPOINT_METRICS_TOKEN"));
        check("PINCHPOINT_PERFORMANCE_ACESS", Some("PINCHPOINT_PERFORMANCE_ACCESS"));
        check("PINCHPOINT_CONTROLS", Some("PINCHPOINT_CONTROL"));
        check("PINCHPOINT__CONTROL_TOKEN", Some("PINCHPOINT_CONTROL_TOKEN"));
        if cfg!(not(windows)) {
            check("pinchpoint_metrics_token", Some("PINCHPOINT_METRICS_TOKEN"));
        }
    }

    #[test]
    fn a_misspelt_prefix_is_no_way_around() {
        for name in ["PINCH_POINT_METRICS_TOKEN", "PINCHPONT_METRIC_TOKEN", "PINCHPOINTMETRICS_TOKEN"] {
            check(name, Some("PINCHPOINT_METRICS_TOKEN"));
        }
    }

    #[test]
    fn a_name_far_from_all_is_refused_with_the_known_ones() {
        for name in ["PINCHPOINT_COLOUR", "PINCHPOINT_", "PINCHPOINT_TOKEN"] {
            let found = unknown(name).expect(name);
            assert!(
                found.starts_with("unknown variable; expected one of PINCHPOINT_RULES_DIR, PINCHPOINT_"),
                "{found}"
            );
        }
    }

    #[test]
    fn settings_and_variables_with_another_meaning_are_left_alone() {
        SETTINGS.iter().for_each(|setting| check(&setting.variable(), None));
        OF_THE_LOAD_TESTER.into_iter().for_each(|name| check(name, None));
        for other in ["PATH", "", "METRICS_TOKEN", "CONTROL", "OTEL_SERVICE_NAME", "DATABASE_URL"] {
            check(other, None);
        }
        // What Kubernetes adds beside Services called `pinchpoint` and `pinchpoint-demo`.
        for service in ["PINCHPOINT", "PINCHPOINT_DEMO"] {
            for end in [
                "SERVICE_HOST",
                "SERVICE_PORT",
                "SERVICE_PORT_HTTP",
                "PORT",
                "PORT_9000_TCP",
                "PORT_9000_TCP_PROTO",
                "PORT_9000_UDP_PORT",
                "PORT_9000_TCP_ADDR",
            ] {
                check(&format!("{service}_{end}"), None);
            }
        }
        assert!(unknown("PINCHPOINT_PORTS").is_some() && unknown("PINCHPOINT_PORT_TOKEN").is_some());
    }
}
