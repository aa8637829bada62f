//! Where a statement stops being one: after a quote that was not escaped, or where it was none from the beginning.

use sqlparser::tokenizer::Token;

use super::{
    super::{
        bare,
        piece::Piece,
        source::SourceToken,
        words::{follows_a_value, is_comparison, is_keyword, is_operator},
    },
    Reader,
};

impl Reader<'_> {
    /// Whether the token at `at` cannot come after the value before it, which is then the beginning of broken text: a quote in
    /// it was not escaped, or another text follows the statement.
    pub(super) fn breaks_off(&self, at: usize) -> bool {
        if self.pieces.last() != Some(&Piece::Value) || self.group().hidden {
            return false;
        }
        let is_loose = |token: &Token| {
            matches!(token, Token::Word(word) if word.quote_style.is_none()
                && !(is_keyword(word) || is_operator(&word.value) || follows_a_value(&word.value)))
        };
        let token = &self.tokens[at].token;
        if self.group().columns && is_loose(token) {
            // `1 name` has one name; in `TOP 5 a` the word is a column.
            return !matches!(self.pieces.as_slice(), [.., Piece::Word(_), Piece::Value])
                && self.next(at).is_some_and(|next| is_loose(&next.token));
        }
        let before = at - 1;
        let is_single = match &self.tokens[before].token {
            Token::SingleQuotedString(_) | Token::HexStringLiteral(_) => true,
            // A name that is not shown is no string.
            Token::Word(word) if self.follows_a_table_word(before) || bare::is_generated(&word.value) => return false,
            Token::Word(word) if word.quote_style == Some('"') => false,
            _ => return false,
        };
        match token {
            Token::Word(word) if word.quote_style.is_some() => !self.group().columns,
            Token::Period | Token::LParen => is_single,
            Token::Minus => self.tokens[at].glued,
            token if is_comparison(&token.to_string()) => {
                matches!(self.pieces.as_slice(), [.., Piece::Operator(operator), _] if is_comparison(operator))
            }
            token => is_loose(token),
        }
    }

    /// Whether the quoted text at `at`, which is the last piece, shows that a quote before it was not escaped: a word is glued
    /// to its end, or bare words stand between it and the quoted text before it. What follows is then part of a literal, and
    /// in the second case the bare words too, which are taken back.
    pub(super) fn is_broken(&mut self, at: usize) -> bool {
        let word_is_glued =
            matches!(self.next(at), Some(SourceToken { token: Token::Word(_) | Token::Number(..), glued: true }));
        let mut last = self.pieces.len() - 1;
        let between = self.quoted_at.and_then(|before| self.pieces.get(before + 1..last)).unwrap_or_default();
        let word_between =
            !between.is_empty() && between.iter().all(|piece| matches!(piece, Piece::Word(word) if !is_operator(word)));
        if word_between {
            last -= between.len() + 1;
            self.pieces.truncate(last + 1);
        }
        self.quoted_at = Some(last);
        word_is_glued || word_between
    }

    /// Whether the word at `at` and its colon begin a line of prose, such as `Update: done`. `SELECT :a` has a parameter.
    pub(super) fn is_title(&self, at: usize) -> bool {
        let colon = self.next(at).filter(|next| matches!(next.token, Token::Colon | Token::DoubleColon));
        colon.is_some_and(|colon| colon.glued || !self.names_follow(at + 1))
    }
}
