//! Data without quotes: what stands in a statement as words and numbers, and no program was written with.

use sqlparser::tokenizer::{Token, Word};

use super::source::SourceToken;

/// Longest identifier; PostgreSQL's and MySQL's limits are 63 and 64.
const MAX_IDENTIFIER: usize = 64;

/// Shortest word that is an id where a value stands, if it mixes digits and letters.
const MIN_ID: usize = 16;
/// Longest number at the end of a part of a column's name: a year.
const MAX_TAIL: usize = 4;

/// What stands in a place of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Table,
    /// A value, or the name of a column: right of a comparison, in the list of an `IN`.
    Value,
    Other,
}

/// Words, numbers and signs without a space between them.
pub(super) struct Run {
    pub(super) length: usize,
    /// It is a mail address or an id with hyphens.
    pub(super) is_data: bool,
}

/// Returns the run at the beginning of `tokens`; `None` where they begin with neither a word nor a number. A name with a host
/// after it is no data where a table stands.
pub(super) fn run(tokens: &[SourceToken], place: Place) -> Option<Run> {
    if place == Place::Value
        && let Some(length) = address(tokens)
    {
        return Some(Run { length, is_data: true });
    }
    let first = &tokens.first()?.token;
    if !is_word(first) && !is_number(first) {
        return None;
    }
    let rest = tokens[1..].iter().take_while(|token| token.glued && belongs(&token.token)).count();
    // A period or a sign at its end is the statement's own.
    let length = tokens[..=rest].iter().rposition(|it| is_word(&it.token) || is_number(&it.token))? + 1;
    let run = &tokens[..length];
    let is_mail = run.windows(3).any(|it| {
        is_word(&it[2].token) && it[1].token == Token::AtSign && (is_word(&it[0].token) || is_number(&it[0].token))
    });
    let text: String = run.iter().map(|it| it.token.to_string()).collect();
    let hyphens = run.iter().filter(|it| it.token == Token::Minus).count();
    let is_id = hyphens >= 2 && text.contains(|ch: char| ch.is_ascii_digit()) && text.contains(char::is_alphabetic);
    let is_called = matches!(tokens.get(length), Some(SourceToken { token: Token::LParen, .. }));
    let is_opaque = place == Place::Value && !is_called && is_opaque(&text);
    Some(Run { length, is_data: is_id || is_uuid(&text) || is_opaque || is_mail && place != Place::Table })
}

/// Returns the length of the network address at the beginning of `tokens`: groups of hexadecimal digits between colons. With one
/// colon and no decimal digit it may be a cast.
fn address(tokens: &[SourceToken]) -> Option<usize> {
    let is_colon = |token: &Token| matches!(token, Token::Colon | Token::DoubleColon);
    let is_group = |token: &Token| {
        let text = token.to_string();
        (is_word(token) || is_number(token)) && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let belongs = |at: usize, it: &SourceToken| (at == 0 || it.glued) && (is_colon(&it.token) || is_group(&it.token));
    let length = tokens.iter().enumerate().take_while(|(at, it)| belongs(*at, it)).count();
    let address = &tokens[..length];
    let colons = address.iter().filter(|it| is_colon(&it.token)).count();
    let groups = address.len() - colons;
    let has_digit = address.iter().any(|it| it.token.to_string().contains(|ch: char| ch.is_ascii_digit()));
    let is_double = address.iter().any(|it| it.token == Token::DoubleColon);
    (groups >= 2 && (colons >= 2 || is_double && has_digit)).then_some(length)
}

fn is_uuid(text: &str) -> bool {
    let is_group =
        |(group, length): (&str, usize)| group.len() == length && group.bytes().all(|it| it.is_ascii_hexdigit());
    text.split('-').count() == 5 && text.split('-').zip([8, 4, 4, 4, 12]).all(is_group)
}

/// Whether the text is an id or a token and no name of a column: long, with digits among its letters. A name has words with at
/// most a short number at their ends.
fn is_opaque(text: &str) -> bool {
    let mixes = |text: &str| {
        text.len() >= MIN_ID
            && text.contains(char::is_alphabetic)
            && text.split(|ch: char| !ch.is_alphanumeric()).any(|part| !is_word_of_a_name(part))
    };
    // Of the parts of a qualified name one may be unusual.
    match text.split('.').filter(|part| mixes(part)).count() {
        0 => false,
        1 => !text.contains('.'),
        _ => true,
    }
}

/// Whether the part of a word has no digits or is as `line`, `Line2` or `2024`.
fn is_word_of_a_name(part: &str) -> bool {
    let letters = part.trim_end_matches(|ch: char| ch.is_ascii_digit());
    let is_one_case = |text: &str| !(text.contains(char::is_lowercase) && text.contains(char::is_uppercase));
    let has_digits = part.contains(|ch: char| ch.is_ascii_digit());
    !has_digits
        || part.len() - letters.len() <= MAX_TAIL
            && letters.chars().all(char::is_alphabetic)
            && is_one_case(letters.get(1..).unwrap_or(letters))
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
