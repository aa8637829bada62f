//! [`Glob`]: the patterns of settings and rules.

/// A pattern in which `*` matches any run of characters, the empty one too, and every other character itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Box<str>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    #[cfg(feature = "export")]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the same as a regular expression of RE2 that matches a whole text; `None` if it matches one text only.
    #[cfg(feature = "export")]
    pub(crate) fn regex(&self) -> Option<String> {
        if !self.0.contains('*') {
            return None;
        }
        Some(self.0.split('*').map(escaped).collect::<Vec<_>>().join(".*"))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return *self.0 == *text };
        let Some(mut text) = text.strip_prefix(head) else { return false };
        let Some((middle, tail)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
        // The first occurrence of each piece is enough: a later one leaves less text for the pieces after it.
        for piece in middle.split('*') {
            match text.find(piece) {
                Some(at) => text = &text[at + piece.len()..],
                None => return false,
            }
        }
        text.ends_with(tail)
    }
}

/// Returns a regular expression of RE2 that matches a text.
#[cfg(feature = "export")]
pub(crate) fn escaped(text: &str) -> String {
    const META: &str = r"\.+*?()|[]{}^$";
    let mut regex = String::new();
    for character in text.chars() {
        if META.contains(character) {
            regex.push('\\');
        }
        regex.push(character);
    }
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} against {text}");
    }

    #[test]
    fn a_star_matches_any_run_of_characters() {
        check("/reports/*", "/reports/sales", true);
        check("/reports/*", "/report", false);
        check("*", "", true);
        check("/a*b*c", "/axxbxxc", true);
        check("/a*b*c", "/axxc", false);
        check("/a*a", "/a", false);
        check("a**b", "ab", true);
        check("*ab*ab", "abxab", true);
        check("exact", "exact", true);
        check("exact", "exactly", false);
    }
}
