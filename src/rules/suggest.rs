//! "Did you mean": the nearest known name to a mistyped one.

/// Returns the candidate that a person most likely meant by `found`, or `None` when nothing is near.
///
/// Near is one slip per three letters, where a transposition is one slip; case never counts. The last words of a single
/// candidate (`route` of `http_route`) are near too.
pub(crate) fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Beyond this no name of ours is meant, and the distance is quadratic in the length.
    const LONGEST: usize = 64;
    let length = found.chars().count();
    if length > LONGEST {
        return None;
    }
    let found = found.to_lowercase();
    let slips = (length / 3).max(1);
    let candidates: Vec<_> = candidates.into_iter().collect();
    let distances = candidates.iter().map(|name| (strsim::damerau_levenshtein(&found, &name.to_lowercase()), *name));
    let closest = distances.filter(|(distance, _)| *distance <= slips).min_by_key(|(distance, _)| *distance);
    let ending = format!("_{found}");
    let mut ends_so = candidates.iter().filter(|name| name.ends_with(&ending));
    match (closest, ends_so.next(), ends_so.next()) {
        (Some((_, closest)), ..) => Some(closest),
        (None, Some(only), None) => Some(only),
        _ => None,
    }
}

/// Returns the end of a message about an unknown name: the nearest known one or, if none is near, all of them.
pub(crate) fn meant<T: AsRef<str>>(suggestion: &Option<T>, expected: &[T]) -> String {
    match suggestion {
        Some(name) => format!("did you mean {:?}?", name.as_ref()),
        None => format!("expected one of {}", expected.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[track_caller]
    fn check(found: &str, expected: Option<&str>) {
        assert_eq!(
            nearest(found, ["window", "measure", "high", "for", "a_route", "p50_x", "p95_x"]),
            expected,
            "{found}"
        );
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        check("windw", Some("window"));
        check("Window", Some("window"));
        check("mesaure", Some("measure"));
        check("hihg", Some("high"));
        check("fro", Some("for"));
        check("route", Some("a_route"));
        check("x", None);
        check("colour", None);
        check("", None);
        check(&"window".repeat(100), None);
    }
}
