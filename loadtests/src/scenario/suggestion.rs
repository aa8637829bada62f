//! What a misspelt name was probably meant to be.

/// Returns the candidate that is closest to a name; `None` if more than a third of it would have to change.
pub(super) fn closest<'c>(name: &str, candidates: &[&'c str]) -> Option<&'c str> {
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, name), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_close_and_another_word_is_not() {
        assert_eq!(closest("expct", &["name", "expect"]), Some("expect"));
        assert_eq!(closest("wait", &["name", "weight"]), None);
        assert_eq!(closest("", &["name"]), None);
    }
}
