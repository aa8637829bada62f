//! Text of others, made harmless for a terminal.
//!
//! A response may hold sequences that recolour or clear a terminal, characters that turn the order of the letters around, and
//! line breaks that look like lines of this tool. Whatever a service or a file says passes through here before it is shown.

use anstream::adapter::strip_str;

/// A finding's text is a few sentences; more is not read in a report.
const LONGEST: usize = 2_000;

/// Returns a text on one line, without control sequences and invisible characters, cut at 2,000 characters.
pub(crate) fn printable_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    let mut kept = 0;
    let mut is_blank = false;
    for c in without_sequences(text).chars() {
        if c.is_whitespace() || c.is_control() {
            is_blank = is_blank || c.is_whitespace();
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        if kept == LONGEST {
            out.push('…');
            break;
        }
        if is_blank && !out.is_empty() {
            out.push(' ');
        }
        is_blank = false;
        out.push(c);
        kept += 1;
    }
    out
}

/// Returns a text without control sequences and invisible characters, line by line and with its blanks.
pub(crate) fn printable_lines(text: &str) -> String {
    without_sequences(text).chars().filter(|c| *c == '\n' || !(c.is_control() || is_invisible(*c))).collect()
}

/// Returns a text without the sequences that control a terminal, also those that begin with a single character.
fn without_sequences(text: &str) -> String {
    strip_str(&text.replace('\u{9b}', "\u{1b}[").replace('\u{9d}', "\u{1b}]")).to_string()
}

/// Whether a character shows nothing, or changes how those around it are shown.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' // soft hyphen
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // direction
            | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}' // blanks and breaks
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' // annotations and tags
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, line: &str, lines: &str) {
        assert_eq!((printable_line(text).as_str(), printable_lines(text).as_str()), (line, lines));
    }

    #[test]
    fn nothing_controls_a_terminal() {
        check("plain text, é, 日本, 👩‍💻", "plain text, é, 日本, 👩‍💻", "plain text, é, 日本, 👩‍💻");
        check("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}end", "red end", "red end");
        check("a\u{9b}31mb\u{1b}", "ab", "ab");
        check("a\nPASSED\r\n\tb", "a PASSED b", "a\nPASSED\nb");
        check("user\u{202e}gpj.exe\u{200b}\u{7f}\0", "usergpj.exe", "usergpj.exe");
    }

    #[test]
    fn a_line_has_an_end() {
        assert_eq!(printable_line(&"x".repeat(5_000)).chars().count(), LONGEST + 1);
    }

    proptest! {
        #[test]
        fn no_text_has_a_control_character(text in any::<String>()) {
            prop_assert!(!printable_line(&text).chars().any(char::is_control));
            prop_assert!(!printable_lines(&text).chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}
