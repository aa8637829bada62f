//! [`Glob`]: the one kind of pattern that settings and rules use.

/// A pattern in which `*` stands for any run of characters, also none, and everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Box<str>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return *self.0 == *text };
        let Some(mut text) = text.strip_prefix(head) else { return false };
        let Some((middle, tail)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
        // Taking each piece at its first place is enough: what follows can only gain by it.
        for piece in middle.split('*') {
            match text.find(piece) {
                Some(at) => text = &text[at + piece.len()..],
                None => return false,
            }
        }
        text.ends_with(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} against {text}");
    }

    #[test]
    fn star_stands_for_any_run() {
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
