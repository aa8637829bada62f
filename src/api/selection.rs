//! [`Selection`]: which bottlenecks an answer has, and with how much of their evidence.

use serde::Deserialize;

use super::{error::ApiError, evidence::Detail, parameters::found};
use crate::rules::{Bottleneck, RuleSet, Severity};

/// Bottlenecks of each list where no limit is given, and at most.
const DEFAULT_LIMIT: usize = 100;
const LARGEST_LIMIT: usize = 1000;

/// The bottlenecks that are asked for.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub(super) struct BottlenecksQuery {
    /// Only bottlenecks of this severity, or of one of several with commas: `high,critical`.
    #[cfg_attr(feature = "openapi", param(pattern = "^(low|medium|high|critical)(,(low|medium|high|critical))*$"))]
    severity: Option<String>,
    /// Only bottlenecks of this type, the id of a rule, or of one of several with commas: `slow_query,slow_task`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", param(example = "slow_endpoint"))]
    kind: Option<String>,
    /// How many bottlenecks the answer has at most, and as many pending ones; the worst come first. 100 by default.
    #[cfg_attr(feature = "openapi", param(value_type = Option<u32>, minimum = 1, maximum = 1000))]
    limit: Option<String>,
    /// `none` leaves the evidence out. `summary`, the default, has its numbers and words, the first three entries of
    /// each list, and no slow requests. `full` has everything, with the timelines of the slowest requests.
    #[cfg_attr(feature = "openapi", param(pattern = "^(none|summary|full)$"))]
    evidence: Option<String>,
}

/// The bottlenecks that an answer has.
#[derive(Debug)]
pub(super) struct Selection {
    /// Empty for all.
    severities: Vec<Severity>,
    /// Ids of rules; empty for all.
    kinds: Vec<String>,
    pub(super) limit: usize,
    pub(super) detail: Detail,
}

impl Selection {
    /// Reads the parameters.
    pub(super) fn of(query: &BottlenecksQuery, rules: &RuleSet) -> Result<Self, ApiError> {
        let severities = query.severity.as_deref().map_or_else(|| Ok(Vec::new()), severities)?;
        let kinds = query.kind.as_deref().map_or_else(|| Ok(Vec::new()), |kinds| ids(kinds, rules))?;
        let detail = query.evidence.as_deref().map_or(Some(Detail::Summary), Detail::parse);
        Ok(Self {
            severities,
            kinds,
            limit: limit_of(query.limit.as_deref())?,
            detail: detail.ok_or_else(|| ApiError::bad_request("evidence must be none, summary or full"))?,
        })
    }

    /// Returns whether a bottleneck is one of those asked for.
    pub(super) fn has(&self, bottleneck: &Bottleneck) -> bool {
        (self.severities.is_empty() || self.severities.contains(&bottleneck.severity))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| **kind == *bottleneck.rule.id))
    }
}

fn severities(text: &str) -> Result<Vec<Severity>, ApiError> {
    let known = || Severity::ALL.iter().map(|severity| severity.as_str());
    let severity = |name: &str| {
        Severity::ALL.into_iter().find(|severity| severity.as_str() == name).ok_or_else(|| {
            ApiError::bad_request(format!(
                "severity must be low, medium, high or critical, or several of them with commas; found {}",
                found(name, known())
            ))
        })
    };
    text.split(',').map(severity).collect()
}

/// Reads how many entries an answer has at most.
pub(super) fn limit_of(text: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    // `parse` takes a sign too.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| is_number && (1..=LARGEST_LIMIT).contains(limit));
    limit.ok_or_else(|| ApiError::bad_request("limit must be a whole number from 1 to 1000"))
}

/// Reads the ids of rules. One that is no longer in force has no bottlenecks; it is refused as a mistake would be.
fn ids(text: &str, rules: &RuleSet) -> Result<Vec<String>, ApiError> {
    let id = |name: &str| {
        let known = rules.ids().any(|id| id == name);
        known.then(|| name.to_owned()).ok_or_else(|| {
            ApiError::bad_request(format!(
                "type must be the id of a rule in force, or several of them with commas; found {}; GET \
                 /performance/rules lists the rules",
                found(name, rules.ids())
            ))
        })
    };
    text.split(',').map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Selection, String> {
        let uri = format!("/?{query}").parse().expect("a URI");
        let query = axum::extract::Query::<BottlenecksQuery>::try_from_uri(&uri).expect("texts only");
        Selection::of(&query, &RuleSet::embedded()).map_err(|error| error.to_string())
    }

    #[test]
    fn without_parameters_the_answer_is_short_and_has_all() {
        let selection = read("").expect("good");
        assert_eq!((selection.limit, selection.detail), (100, Detail::Summary));
        assert!(selection.severities.is_empty() && selection.kinds.is_empty());
    }

    #[test]
    fn several_severities_and_types_are_asked_for_with_commas() {
        let selection =
            read("severity=high,critical&type=slow_query,slow_task&limit=1000&evidence=full").expect("good");
        assert_eq!(selection.severities, [Severity::High, Severity::Critical]);
        assert_eq!(selection.kinds, ["slow_query", "slow_task"]);
        assert_eq!((selection.limit, selection.detail), (1000, Detail::Full));
    }

    #[track_caller]
    fn check(query: &str, expected: &str) {
        assert!(read(query).is_err_and(|error| error.contains(expected)), "{query}: {:?}", read(query));
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_is_allowed() {
        check(
            "severity=hgih",
            "low, medium, high or critical, or several of them with commas; found `hgih`, did you mean `high`?",
        );
        check("severity=High", "did you mean `high`?");
        check("severity=high,", "found ``");
        check("type=slow_querry", "found `slow_querry`, did you mean `slow_query`?; GET /performance/rules");
        check("type=", "found ``");
        for limit in ["0", "1001", "-1", "%2B1", "ten", "1.0", ""] {
            check(&format!("limit={limit}"), "limit must be a whole number from 1 to 1000");
        }
        check("evidence=all", "evidence must be none, summary or full");
    }
}
