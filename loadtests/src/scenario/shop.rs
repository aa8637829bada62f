//! The demo shop's scenarios, which `loadtest` without arguments runs.

use super::{file::parse_scenarios, flow::Flow};

/// Returns the scenarios of `loadtests/scenarios/shop.yaml`, which is compiled in so that the binary runs anywhere.
pub(crate) fn shop() -> Vec<Flow> {
    parse_scenarios(include_str!("../../scenarios/shop.yaml"), &|name| match name {
        "search-terms.csv" => Ok(include_str!("../../scenarios/search-terms.csv").to_owned()),
        "customers.csv" => Ok(include_str!("../../scenarios/customers.csv").to_owned()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    })
    .expect("the file is part of the binary, and a test reads it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shop_is_a_good_scenario() {
        let flows = shop();
        assert!(flows.len() > 1);
        assert!(flows.iter().all(|flow| !flow.steps.all().is_empty()));
    }
}
