//! The scenario of the demo shop, which a bare `loadtest` runs.

use super::file::parse_scenarios;
use super::flow::Flow;

/// The scenarios of `loadtests/scenarios/shop.yaml`, compiled in.
pub(crate) fn shop() -> Vec<Flow> {
    parse_scenarios(include_str!("../../scenarios/shop.yaml"), &|name| match name {
        "search-terms.csv" => Ok(include_str!("../../scenarios/search-terms.csv").to_owned()),
        "customers.csv" => Ok(include_str!("../../scenarios/customers.csv").to_owned()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    })
    .expect("a test reads the same text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shop_is_a_good_scenario() {
        let flows = shop();
        assert!(flows.len() > 1);
        assert!(flows.iter().all(|flow| !flow.body.steps().is_empty()));
    }
}
