//! Names and sentences inside Markdown, where they stay text, and characters that no page takes as they are.

/// Stands inside what Markdown's readers turn into links and mentions by themselves. Escaping does not stop them, since
/// they search the finished text; this letter does, and has no width.
const JOINER: char = '\u{2060}';

/// Returns what is written in the place of a character that reorders what stands beside it: Unicode's controls of direction.
///
/// Isolating a name by style does not suffice: a name may hold the very control that ends the isolation, and Markdown, titles
/// and copied text have no style.
pub(super) fn visible(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{061c}' => "[U+061C]",
        '\u{200e}' => "[U+200E]",
        '\u{200f}' => "[U+200F]",
        '\u{202a}' => "[U+202A]",
        '\u{202b}' => "[U+202B]",
        '\u{202c}' => "[U+202C]",
        '\u{202d}' => "[U+202D]",
        '\u{202e}' => "[U+202E]",
        '\u{2066}' => "[U+2066]",
        '\u{2067}' => "[U+2067]",
        '\u{2068}' => "[U+2068]",
        '\u{2069}' => "[U+2069]",
        _ => return None,
    })
}

fn push(out: &mut String, c: char) {
    match visible(c) {
        Some(name) => out.push_str(name),
        None => out.push(c),
    }
}

/// Returns text that is only text, on one line.
pub(crate) fn escaped(text: &str) -> String {
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
            c => push(&mut out, c),
        }
    }
    out
}

/// Returns a code span. Its fence is longer than any run of backticks in the text.
pub(crate) fn code(text: &str) -> String {
    let text = text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        push(&mut out, if c.is_control() { ' ' } else { c });
        out
    });
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
    fn no_name_reorders_its_line() {
        assert_eq!(code("a\u{202e}b"), "`a[U+202E]b`");
        assert_eq!(escaped("a\u{200f}b\u{2066}"), "a[U+200F]b[U+2066]");
    }

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(code("GET /users/{id}"), "`GET /users/{id}`");
        assert_eq!(code("a`b``c|d\ne"), "```a`b``c|d e```");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(
            escaped("[x](http://y) | @all <img> *b*\n# c"),
            "\\[x\\](http:\u{2060}//y) \\| \\@\u{2060}all \\<img\\> \\*b\\* \\# c"
        );
        assert_eq!(escaped("WWW.a.b, ftp://c, é: 1/2"), "W\u{2060}WW.a.b, ftp:\u{2060}//c, é: 1/2");
    }
}
