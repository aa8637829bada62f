//! Text inside the languages that reports are written in.

/// Escapes text for HTML, SVG and XML, as content or as an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML cannot express other control characters, not even as a reference.
            control if control.is_control() && !matches!(control, '\n' | '\t') => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// Escapes text for Markdown (CommonMark with GitHub's tables), where it may stand in a sentence or in a cell.
pub(super) fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied();
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // Within a word it is only itself.
            '_' if !(is_word(before) && is_word(after)) => out.push_str("\\_"),
            // Before anything else it begins no tag: `p95<200ms` stays readable.
            '<' if after.is_some_and(|c| c.is_ascii_alphabetic() || "/!?".contains(c)) => out.push_str("&lt;"),
            '&' if after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '#') => out.push_str("&amp;"),
            // At the start of a line it would make a heading, a quotation, a list or a rule of it.
            '#' | '>' if before.is_none() => {
                out.push('\\');
                out.push(c);
            }
            '-' | '+' if before.is_none() && after.is_none_or(|c| c.is_whitespace() || c == '-') => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')'
                if !out.is_empty()
                    && out.chars().all(|c| c.is_ascii_digit())
                    && after.is_none_or(char::is_whitespace) =>
            {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
        before = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_place() {
        assert_eq!(escape("<a b=\"c\">'&\u{1}\n"), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;\u{fffd}\n");
        assert_eq!(escape_markdown("a | b"), "a \\| b");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(escape_markdown(text), expected);
    }

    #[test]
    fn no_text_is_markdown() {
        check("p95<200ms for GET /api/users/{id}", "p95<200ms for GET /api/users/{id}");
        check("not error_ratio > 5%", "not error_ratio > 5%");
        check("<img src=x> </b> &lt; a & b", "&lt;img src=x> &lt;/b> &amp;lt; a & b");
        check("*a* _b_ `c` [d](e) ~~f~~ $g$ \\", "\\*a\\* \\_b\\_ \\`c\\` \\[d\\](e) \\~\\~f\\~\\~ \\$g\\$ \\\\");
        check("# a # b", "\\# a # b");
        check("12. a 3. b", "12\\. a 3. b");
        check("10.00 ms", "10.00 ms");
        check("- a", "\\- a");
        check("+30.0 %", "+30.0 %");
    }
}
