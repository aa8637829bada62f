//! [`Source`]: the tokens of a statement, up to where databases disagree about where one ends.

use sqlparser::{
    dialect::Dialect,
    tokenizer::{Token, Tokenizer, Whitespace},
};

/// The dialect with the fewest special forms: quotes are doubled and never escaped, `"` and `` ` `` delimit
/// identifiers. Text that other dialects read differently is detected here and by the reader in `lex`.
#[derive(Debug)]
struct PlainDialect;

impl Dialect for PlainDialect {
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
pub(super) struct SourceToken {
    pub(super) token: Token,
    pub(super) glued: bool,
}

/// The tokens up to the first place that databases read differently.
pub(super) struct Source {
    pub(super) tokens: Vec<SourceToken>,
    /// There is such a place.
    pub(super) cut: bool,
    /// The tokenizer failed.
    pub(super) failed: bool,
}

impl Source {
    /// Reads a text; `truncated` is whether it is the beginning of a longer one.
    pub(super) fn read(sql: &str, truncated: bool) -> Self {
        let mut raw = Vec::new();
        let failed =
            Tokenizer::new(&PlainDialect, sql).with_unescape(false).tokenize_with_location_into_buf(&mut raw).is_err();
        if truncated {
            // The last token may be the first half of another one.
            raw.pop();
        }
        let (tokens, ambiguous) = significant(raw.into_iter().map(|token| token.token));
        Self { tokens, cut: ambiguous || truncated, failed }
    }
}

/// Drops white space and comments. Returns `true` and stops at a comment that ends elsewhere in another database: MySQL
/// needs a space after `--`, executes the text in `/*! */`, MariaDB also that in `/*M! */`, and begins a comment at
/// `#`; PostgreSQL nests `/*` and ends lines at a carriage return; `[` quotes in SQLite and SQL Server.
fn significant(raw: impl Iterator<Item = Token>) -> (Vec<SourceToken>, bool) {
    let mut tokens = Vec::new();
    let mut glued = false;
    let mut nesting = Nesting::default();
    for token in raw {
        if nesting.is_ambiguous(&token) {
            return (tokens, true);
        }
        nesting.follow(&token);
        if let Token::Whitespace(_) = token {
            glued = false;
        } else {
            tokens.push(SourceToken { token, glued });
            glued = true;
        }
    }
    (tokens, false)
}

/// What the tokens so far have opened.
#[derive(Default)]
struct Nesting {
    brackets: usize,
    /// This line has a `#>`, which is an operator or begins a comment.
    hash: bool,
}

impl Nesting {
    /// Whether the token ends elsewhere in another database.
    fn is_ambiguous(&self, token: &Token) -> bool {
        match token {
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => {
                let other_start = !comment.is_empty() && !comment.starts_with(char::is_whitespace);
                let other_end = comment.trim_end_matches('\r').contains('\r');
                (other_start || other_end) && may_open(comment) || self.brackets > 0 && comment.contains(']')
            }
            Token::Whitespace(Whitespace::MultiLineComment(comment)) => {
                comment.contains("/*")
                    || comment.strip_prefix('M').unwrap_or(comment).starts_with('!') && may_open(comment)
                    || self.brackets > 0 && comment.contains(']')
                    || self.hash && comment.contains(['\n', '\r'])
            }
            Token::Whitespace(_) => false,
            token => self.hash && token.to_string().contains(['\n', '\r']),
        }
    }

    fn follow(&mut self, token: &Token) {
        match token {
            Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::Newline) => self.hash = false,
            Token::LBracket => self.brackets += 1,
            Token::RBracket => self.brackets = self.brackets.saturating_sub(1),
            Token::HashArrow | Token::HashLongArrow => self.hash = true,
            _ => {}
        }
    }
}

/// Whether a text, read as SQL, could open a quote or a comment that ends after it.
pub(super) fn may_open(text: &str) -> bool {
    text.contains(['\'', '"', '`', '$', '[']) || text.contains("/*")
}

/// Whether a quoted text ends elsewhere in a database that escapes with a backslash or has triple quotes. `raw` is the
/// text between the quotes, as written.
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
