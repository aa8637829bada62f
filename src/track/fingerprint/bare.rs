//! Data without quotes: what stands in a statement as words and numbers, and no program was written with.

use sqlparser::tokenizer::{Token, Word};

use super::source::SourceToken;

/// Longest identifier; PostgreSQL's and MySQL's limits are 63 and 64.
const MAX_IDENTIFIER: usize = 64;

/// Words, numbers and signs without a space between them.
pub(super) struct Run {
    pub(super) length: usize,
    /// It is a mail address or an id with hyphens.
    pub(super) is_data: bool,
}

/// Returns the run at the beginning of `tokens`; `None` where they begin with neither a word nor a number. A name with a host
/// after it, where `may_be_a_table`, is no data.
pub(super) fn run(tokens: &[SourceToken], may_be_a_table: bool) -> Option<Run> {
    let first = &tokens.first()?.token;
    if !is_word(first) && !is_number(first) {
        return None;
    }
    let rest = tokens[1..].iter().take_while(|token| token.glued && belongs(&token.token)).count();
    // A period or a sign at its end is the statement's own.
    let length = tokens[..=rest].iter().rposition(|it| is_word(&it.token) || is_number(&it.token))? + 1;
    let run = &tokens[..length];
    let is_address = run.windows(3).any(|it| {
        is_word(&it[2].token) && it[1].token == Token::AtSign && (is_word(&it[0].token) || is_number(&it[0].token))
    });
    let hyphens = run.iter().filter(|it| it.token == Token::Minus).count();
    let has = |is: fn(char) -> bool| run.iter().any(|it| it.token.to_string().chars().any(is));
    let is_id = hyphens >= 2 && has(|ch| ch.is_ascii_digit()) && has(char::is_alphabetic);
    Some(Run { length, is_data: is_id || is_address && !may_be_a_table })
}

fn is_word(token: &Token) -> bool {
    matches!(token, Token::Word(Word { quote_style: None, .. }))
}

fn is_number(token: &Token) -> bool {
    matches!(token, Token::Number(..))
}

fn belongs(token: &Token) -> bool {
    is_word(token) || is_number(token) || matches!(token, Token::Period | Token::Minus | Token::Plus | Token::AtSign)
}

/// Whether an identifier looks like one that a program makes up at run time: it has five digits in a row (a number of a
/// session, a date), eight hexadecimal digits as one of its parts, two of them decimal, or it is called temporary and numbered.
/// Identifiers longer than a database allows are data too.
pub(super) fn is_generated(word: &str) -> bool {
    let has_digit = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    let is_hash = |part: &str| {
        part.len() >= 8
            && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            && part.bytes().filter(u8::is_ascii_digit).count() >= 2
    };
    let is_temporary =
        ["tmp", "temp"].iter().any(|start| word.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start)));
    word.len() > MAX_IDENTIFIER
        || word.as_bytes().windows(5).any(|five| five.iter().all(u8::is_ascii_digit))
        || word.split(|ch: char| !ch.is_ascii_alphanumeric()).any(is_hash)
        || is_temporary && has_digit(word)
}
