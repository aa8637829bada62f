//! The tokens of a statement, and the places at which databases disagree about where one ends.

use sqlparser::{
    dialect::Dialect,
    tokenizer::{Token, Tokenizer, Whitespace},
};

/// The dialect with the fewest special forms: quotes are doubled and never escaped, `"` and `` ` `` delimit
/// identifiers. What other dialects would read otherwise is found here and by the reader.
#[derive(Debug)]
struct Plain;

impl Dialect for Plain {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch.is_ascii_digit() || ch == '_' || ch == '$'
    }

    fn supports_national_string_literal(&self) -> bool {
        false
    }
}

/// A token and whether it follows its predecessor without a space.
pub(super) struct Glued {
    pub(super) token: Token,
    pub(super) glued: bool,
}

/// The tokens up to the first place that is read differently.
pub(super) struct Source {
    pub(super) tokens: Vec<Glued>,
    /// There is such a place.
    pub(super) cut: bool,
    /// The tokenizer gave up.
    pub(super) failed: bool,
}

impl Source {
    /// Reads a text; `truncated` says that it is the beginning of a longer one.
    pub(super) fn read(sql: &str, truncated: bool) -> Self {
        let mut raw = Vec::new();
        let failed =
            Tokenizer::new(&Plain, sql).with_unescape(false).tokenize_with_location_into_buf(&mut raw).is_err();
        if truncated {
            // The last token may be the first half of one that means something else.
            raw.pop();
        }
        let (tokens, ambiguous) = significant(raw.into_iter().map(|token| token.token));
        Self { tokens, cut: ambiguous || truncated, failed }
    }
}

/// Drops white space and comments. Returns `true` where a comment ends elsewhere in another database: MySQL needs a
/// space after `--`, runs what is in `/*! */`, MariaDB also in `/*M! */`, and begins a comment at `#`; PostgreSQL nests
/// `/*` and ends lines at a carriage return; `[` quotes in SQLite and SQL Server.
fn significant(raw: impl Iterator<Item = Token>) -> (Vec<Glued>, bool) {
    let mut tokens = Vec::new();
    let mut glued = false;
    let mut brackets = 0_usize;
    // Since a `#>` on this line, which is an operator or begins a comment.
    let mut hash = false;
    for token in raw {
        let ambiguous = match &token {
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => {
                let other_start = !comment.is_empty() && !comment.starts_with(char::is_whitespace);
                let other_end = comment.trim_end_matches('\r').contains('\r');
                let ambiguous =
                    (other_start || other_end) && may_open(comment) || brackets > 0 && comment.contains(']');
                hash = false;
                ambiguous
            }
            Token::Whitespace(Whitespace::MultiLineComment(comment)) => {
                comment.contains("/*")
                    || comment.strip_prefix('M').unwrap_or(comment).starts_with('!') && may_open(comment)
                    || brackets > 0 && comment.contains(']')
                    || hash && comment.contains(['\n', '\r'])
            }
            Token::Whitespace(Whitespace::Newline) => {
                hash = false;
                false
            }
            Token::Whitespace(_) => false,
            _ if hash && token.to_string().contains(['\n', '\r']) => true,
            _ => {
                match token {
                    Token::LBracket => brackets += 1,
                    Token::RBracket => brackets = brackets.saturating_sub(1),
                    Token::HashArrow | Token::HashLongArrow => hash = true,
                    _ => {}
                }
                tokens.push(Glued { token, glued });
                glued = true;
                continue;
            }
        };
        if ambiguous {
            return (tokens, true);
        }
        glued = false;
    }
    (tokens, false)
}

/// Whether a text, read as SQL, could open something that ends later.
pub(super) fn may_open(text: &str) -> bool {
    text.contains(['\'', '"', '`', '$', '[']) || text.contains("/*")
}

/// Whether a quoted text ends elsewhere for a database that takes the backslash for an escape, or three quotes for
/// one. `raw` is the text between the quotes as written.
pub(super) fn ends_elsewhere(raw: &str, quote: char) -> bool {
    let mut backslashes = 0_usize;
    for ch in raw.chars() {
        match ch {
            '\\' => backslashes += 1,
            '\'' | '"' | '`' if backslashes % 2 == 1 => return true,
            _ => backslashes = 0,
        }
    }
    let mut start = raw.chars();
    backslashes % 2 == 1 || (start.next() == Some(quote) && start.next() == Some(quote))
}
