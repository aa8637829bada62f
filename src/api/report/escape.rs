//! Names and sentences inside Markdown, where they stay text.

/// Stands inside what Markdown's readers turn into links and mentions by themselves. Escaping does not stop them, since
/// they search the finished text; this letter does, and has no width.
const JOINER: char = '\u{2060}';

/// Returns text that is only text, on one line.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let follows = |prefix: &str| {
            text.as_bytes()[at..].get(..prefix.len()).is_some_and(|found| found.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '@' | '&' | '!' => {
                out.push('\\');
                out.push(c);
                out.extend((c == '@').then_some(JOINER));
            }
            ':' if follows("://") => out.extend([c, JOINER]),
            'w' | 'W' if follows("www.") => out.extend([c, JOINER]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Returns a code span for a cell of a table, which a bar would end even inside code.
pub(super) fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Returns a code span. Its fence is longer than any run of backticks in the text.
pub(super) fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(code("GET /users/{id}"), "`GET /users/{id}`");
        assert_eq!(code("a`b``c|d\ne"), "```a`b``c|d e```");
        assert_eq!(code_cell("a || b"), "`a \\|\\| b`");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(
            escaped("[x](http://y) | @all <img> *b*\n# c"),
            "\\[x\\](http:\u{2060}//y) \\| \\@\u{2060}all \\<img\\> \\*b\\* \\# c"
        );
        assert_eq!(escaped("WWW.a.b, ftp://c, é: 1/2"), "W\u{2060}WW.a.b, ftp:\u{2060}//c, é: 1/2");
    }
}
