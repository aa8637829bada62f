//! Names in the brackets of SQL Server and SQLite: `[Order Lines]`.
//!
//! Other databases have brackets around indexes and the elements of arrays, and none quotes a string with them. So only what
//! can be a name is read as one, and a number in it is not shown.

use sqlparser::tokenizer::{Token, Word};

use super::{
    super::{bare, piece::Piece, statement::StatementKind},
    Keyword, Reader, SourceToken,
};

/// Most tokens of a name; one of SQL Server has at most 128 characters. Bounds the time for a bracket that none closes.
const MAX_TOKENS: usize = 32;

impl Reader<'_> {
    /// Reads the name in the brackets that open at `at`, and returns the index after them; `None` where they hold none. The words
    /// of a name keep their case, and none of them is a keyword: `[From]` begins no list of tables.
    pub(super) fn bracketed(&mut self, at: usize) -> Option<usize> {
        if self.brackets > 0 || self.group().hidden || self.statement == StatementKind::Unread || self.is_index(at) {
            return None;
        }
        let name = self.tokens[at + 1..].iter().take(MAX_TOKENS).take_while(|it| it.token != Token::RBracket).count();
        let end = at + 1 + name;
        let is_doubled = matches!(self.next(end), Some(SourceToken { token: Token::RBracket, glued: true }));
        if self.tokens.get(end)?.token != Token::RBracket || is_doubled {
            return None;
        }
        let text = name_of(&self.tokens[at + 1..end])?;
        let was = self.statement;
        self.statement = was.with(&text);
        self.in_number = false;
        if self.is_made_up(end, &text, was) || self.is_named_at_run_time(at) {
            self.value();
        } else {
            self.push(Piece::Word(format!("[{text}]")));
        }
        self.hide_if(self.statement.hides_after_word(&text, &self.tokens[end + 1..]));
        Some(end + 1)
    }

    /// Whether the bracket at `at` opens an index or the elements of an array.
    fn is_index(&self, at: usize) -> bool {
        match self.pieces.last() {
            Some(Piece::Keyword(_, Keyword::ARRAY)) => true,
            Some(Piece::Word(_) | Piece::Value | Piece::Close | Piece::CloseBracket) => self.tokens[at].glued,
            _ => false,
        }
    }
}

/// Returns the name that the tokens are, with the spaces between them; `None` where one cannot be of a name, or is data.
fn name_of(tokens: &[SourceToken]) -> Option<String> {
    let is_data = |at: usize| bare::run(&tokens[at..], bare::Place::Other).is_some_and(|run| run.is_data);
    if (0..tokens.len()).any(is_data) {
        return None;
    }
    let mut text = String::new();
    let (mut has_word, mut in_number) = (false, false);
    for SourceToken { token, glued } in tokens {
        let shown = match token {
            // The tail of a number, as in `2nd`.
            Token::Word(Word { quote_style: None, .. }) | Token::Number(..) if in_number && *glued => continue,
            Token::Word(Word { value, quote_style: None, .. }) if !bare::is_generated(value) => value.clone(),
            Token::Word(Word { quote_style: None, .. }) | Token::Number(..) => "?".to_owned(),
            Token::Minus | Token::Ampersand | Token::Mod | Token::LParen | Token::RParen => token.to_string(),
            _ => return None,
        };
        has_word |= matches!(token, Token::Word(_));
        in_number = matches!(token, Token::Number(..));
        if !text.is_empty() && !glued {
            text.push(' ');
        }
        text += &shown;
    }
    has_word.then_some(text)
}
