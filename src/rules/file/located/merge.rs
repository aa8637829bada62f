//! Merge keys of YAML 1.1: `<<: *defaults` takes the keys of another mapping.
//!
//! YAML 1.2 left them out, and people write them all the same. A key that the mapping has itself wins over a merged one, and
//! of several merged mappings the first that has a key.

use std::collections::HashSet;

use super::{Node, SyntaxError, Value};

/// The key whose value is merged.
const MERGE: &str = "<<";

/// Returns the entries of a mapping with those that it merges.
///
/// # Errors
/// Returns the place of a merged value that is no mapping, and of a second merge key.
pub(super) fn merged(entries: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, SyntaxError> {
    let is_merge = |key: &Node| key.as_text() == Some(MERGE);
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| is_merge(key));
    let mut merges = merges.into_iter();
    let Some((key, value)) = merges.next() else { return Ok(own) };
    if let Some((second, _)) = merges.next() {
        let message = "a second merge key; expected one with a list, such as \"<<: [*a, *b]\"".to_owned();
        return Err(SyntaxError { at: second.at, message });
    }
    let mappings = match value.value {
        Value::List(items) => items,
        _ => vec![value],
    };
    let mut there: HashSet<String> = own.iter().filter_map(|(key, _)| key.as_text().map(str::to_owned)).collect();
    for Node { value, .. } in mappings {
        let Value::Map(entries) = value else {
            let message = "the merge key takes a mapping or a list of them, such as \"<<: *defaults\"".to_owned();
            // Not where the value stands, which for an alias is its anchor.
            return Err(SyntaxError { at: key.at, message });
        };
        for (key, value) in entries {
            if key.as_text().is_none_or(|key| there.insert(key.to_owned())) {
                own.push((key, value));
            }
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use crate::rules::file::located::{SyntaxError, Value, parse};

    /// The last mapping of a document as `key=value`.
    fn read(text: &str) -> Result<String, SyntaxError> {
        let root = parse(text)?.expect("a document");
        let Value::Map(entries) = root.value else { panic!("a mapping") };
        let Some((_, last)) = entries.last() else { return Ok(String::new()) };
        let Value::Map(entries) = &last.value else { panic!("a mapping") };
        let written = entries
            .iter()
            .map(|(key, value)| format!("{}={}", key.as_text().unwrap_or("?"), value.as_text().unwrap_or("?")));
        Ok(written.collect::<Vec<_>>().join(" "))
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn merged_keys_are_those_that_the_mapping_lacks() {
        check("a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }", "y=3 x=1");
        check("a: &a { x: 1, y: 2 }\nb: { y: 3, <<: *a }", "y=3 x=1");
        check("a: &a { x: 1 }\nb: &b { x: 2, y: 2 }\nc: { <<: [*a, *b], z: 3 }", "z=3 x=1 y=2");
        check("a: &a { x: 1 }\nb: &b { <<: *a, y: 2 }\nc: { <<: *b }", "y=2 x=1");
        check("b: { <<: { x: 1 } }", "x=1");
        check("b: { <<: [] }", "");
        check("a: &a { x: 1, x: 2 }\nb: { x: 3, x: 4, <<: *a }", "x=3 x=4");
    }

    #[test]
    fn a_mapping_of_many_keys_is_merged_in_one_pass() {
        let keys: String = (0..100_000).map(|key| format!("k{key}: 1, ")).collect();
        let merged = read(&format!("a: {{ k5: 2, <<: {{ {keys} }} }}")).expect("good YAML");
        assert!(merged.starts_with("k5=2 k0=1 k1=1") && merged.split(' ').count() == 100_000);
    }

    #[test]
    fn merges_of_merges_stay_bounded() {
        let doubled: String =
            (1..16).map(|n| format!("x-{n}: &a{n} {{ k{n}: {{ <<: *a{0} }}, <<: *a{0} }}\n", n - 1)).collect();
        let error = read(&format!("x-0: &a0 {{ k: 1 }}\n{doubled}")).expect_err("too much");
        assert_eq!(error.message, "aliases make too many nodes");
    }

    #[test]
    fn what_is_no_mapping_cannot_be_merged() {
        for text in ["b: { <<: 5 }", "b: { <<: }", "a: &a 1\nb: { <<: *a }", "b: { <<: [x] }", "b: { <<: [[]] }"] {
            let message = read(text).expect_err(text).message;
            assert!(message.starts_with("the merge key takes a mapping"), "{text}: {message}");
        }
        let error = read("a: &a { x: 1 }\nb: { <<: *a, <<: *a }").expect_err("two");
        assert!(
            error.message.starts_with("a second merge key") && (error.at.line, error.at.column) == (2, 14),
            "{error:?}"
        );
    }
}
