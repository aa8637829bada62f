//! [`lex`]: the pieces of a statement that are safe to show.
//!
//! Owns the decision of what is shown. The tokenizer runs in a dialect of our own with the fewest special forms, and
//! every place that a real database would read differently ends the statement with [`Piece::Cut`]: the text before it
//! reads the same in all of them.

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, Word},
};

use super::{
    source::{Source, SourceToken, ends_elsewhere, may_open},
    statement::StatementKind,
};

/// Longest identifier shown; PostgreSQL's and MySQL's limits are 63 and 64.
const MAX_IDENTIFIER: usize = 64;

/// One element of a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A word of SQL itself, in capitals.
    Keyword(String, Keyword),
    /// An identifier, with its quotes if it had any.
    Word(String),
    /// A literal or a parameter.
    Value,
    /// A sign before an operand, not an operator between two.
    Sign(&'static str),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `,`
    Comma,
    /// `.`
    Period,
    /// `;`
    Semicolon,
    /// `::`
    Cast,
    /// Any other operator.
    Operator(String),
    /// A folded list of values, with its text.
    List(&'static str),
    /// The rest of the statement is not shown.
    Cut,
}

/// The pieces of a statement.
#[derive(Debug)]
pub(super) struct LexOutput {
    pub(super) pieces: Vec<Piece>,
    /// The tokenizer failed, and found no place before at which the statement could be cut.
    pub(super) unreadable: bool,
}

/// Reads a statement; `truncated` is whether it is the beginning of a longer one.
pub(super) fn lex(sql: &str, truncated: bool) -> LexOutput {
    let Source { tokens, mut cut, failed } = Source::read(sql, truncated);
    let mut reader = Reader::new(&tokens, false);
    cut |= reader.read() < tokens.len();
    // Only text before the cut proves anything: the text after it may be inside a string.
    if reader.proves_standard_quotes {
        reader = Reader::new(&tokens, true);
        reader.read();
    }
    let mut pieces = reader.pieces;
    while pieces.last() == Some(&Piece::Semicolon) {
        pieces.pop();
    }
    if cut {
        pieces.push(Piece::Cut);
    }
    LexOutput { unreadable: failed && !cut, pieces }
}

/// The inside of a parenthesis.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// It has arguments of a function, or values of an `IN` or a `VALUES`, so a quoted word in it may be a string.
    values: bool,
    /// It is a query, so a table follows its `FROM`, unlike that of `EXTRACT(YEAR FROM x)`.
    query: bool,
    /// Words may be data here; see [`StatementKind`].
    hidden: bool,
    /// The next `AND` belongs to a `BETWEEN`, so a value follows it.
    between: bool,
}

struct Reader<'a> {
    tokens: &'a [SourceToken],
    pieces: Vec<Piece>,
    statement: StatementKind,
    groups: Vec<Group>,
    brackets: usize,
    /// An earlier reading proved that `"` delimits identifiers in this statement.
    standard_quotes: bool,
    /// This reading found a double-quoted word where a string would be an error.
    proves_standard_quotes: bool,
    after_between: bool,
    /// The last piece is a number, to which the next token may still belong.
    in_number: bool,
}

impl<'a> Reader<'a> {
    fn new(tokens: &'a [SourceToken], standard_quotes: bool) -> Self {
        Self {
            tokens,
            pieces: Vec::with_capacity(tokens.len()),
            statement: StatementKind::default(),
            groups: vec![Group::default()],
            brackets: 0,
            standard_quotes,
            proves_standard_quotes: false,
            after_between: false,
            in_number: false,
        }
    }

    /// Reads tokens up to the first one after which databases disagree, and returns how many come before that one. It
    /// may have left a `?` among the pieces.
    fn read(&mut self) -> usize {
        let mut at = 0;
        while at < self.tokens.len() {
            match self.one(at) {
                Some(next) => at = next,
                None => return at,
            }
        }
        at
    }

    /// Reads the token at `at` and returns the index of the next, or `None` if databases disagree from here on.
    fn one(&mut self, at: usize) -> Option<usize> {
        let SourceToken { token, glued } = &self.tokens[at];
        // `1_000`, `0XFF`, `12abc`: a word glued to a number is its tail and not an identifier.
        if self.in_number && *glued && matches!(token, Token::Word(Word { quote_style: None, .. }) | Token::Number(..))
        {
            return Some(at + 1);
        }
        self.in_number = matches!(token, Token::Number(..) | Token::HexStringLiteral(_) | Token::Placeholder(_));
        match token {
            Token::Word(word) => return self.word(at, word).then_some(at + 1),
            Token::Number(..) | Token::Placeholder(_) => self.value(),
            Token::SingleQuotedString(raw) | Token::HexStringLiteral(raw) => {
                self.value();
                if ends_elsewhere(raw, '\'') || self.brackets > 0 && raw.contains(']') {
                    return None;
                }
            }
            Token::DollarQuotedString(text) => {
                self.value();
                if may_open(&text.value) {
                    return None;
                }
            }
            // `:name`, `:1` and `@name` are parameters, `@@name` is a variable.
            Token::Colon | Token::AtSign | Token::AtAt if self.names_follow(at) => {
                self.value();
                self.in_number = true;
                return Some(at + 2);
            }
            Token::Minus | Token::Plus => {
                let sign = if *token == Token::Minus { "-" } else { "+" };
                let unary = !matches!(
                    self.pieces.last(),
                    Some(Piece::Value | Piece::Word(_) | Piece::Close | Piece::CloseBracket | Piece::List(_))
                );
                self.push(if unary { Piece::Sign(sign) } else { Piece::Operator(sign.into()) });
            }
            // An operator on a path in PostgreSQL, a comment in MySQL.
            Token::HashArrow | Token::HashLongArrow if !self.path_follows(at) => return None,
            // Snowflake's comment; no database has two divisions in a row.
            Token::Div if matches!(self.next(at), Some(SourceToken { token: Token::Div, glued: true })) => return None,
            token => return self.symbol(token).then_some(at + 1),
        }
        Some(at + 1)
    }

    fn symbol(&mut self, token: &Token) -> bool {
        let piece = match token {
            Token::LParen => {
                let group = self.group();
                let values = self.after_between || self.opens_values();
                self.groups.push(Group { values, query: false, hidden: group.hidden, between: false });
                Piece::Open
            }
            Token::RParen => {
                if self.groups.len() > 1 {
                    self.groups.pop();
                }
                Piece::Close
            }
            Token::LBracket => {
                self.brackets += 1;
                Piece::OpenBracket
            }
            Token::RBracket => {
                self.brackets = self.brackets.saturating_sub(1);
                Piece::CloseBracket
            }
            Token::Comma => Piece::Comma,
            Token::Period => Piece::Period,
            // The lines after this one are data.
            Token::SemiColon if self.statement == StatementKind::Copy => return false,
            Token::SemiColon => {
                self.statement = StatementKind::default();
                self.groups = vec![Group::default()];
                Piece::Semicolon
            }
            Token::DoubleColon => Piece::Cast,
            token => match operator(token) {
                Some(text) => Piece::Operator(text),
                None => return false,
            },
        };
        self.push(piece);
        self.hide_if(self.statement.hides_after(token));
        true
    }

    /// Hides the following words of this group, unless it is a query.
    fn hide_if(&mut self, hides: bool) {
        let group = self.group_mut();
        group.hidden |= hides && !group.query;
    }

    /// Whether a `(` here opens a group of values: the arguments of a function, also of one that is named by a keyword,
    /// or an operand.
    fn opens_values(&self) -> bool {
        match self.pieces.last() {
            None | Some(Piece::Open | Piece::Close | Piece::Comma | Piece::Semicolon) => self.group().values,
            Some(Piece::Keyword(
                _,
                Keyword::FROM
                | Keyword::JOIN
                | Keyword::OVER
                | Keyword::CONFLICT
                | Keyword::UNIQUE
                | Keyword::INDEX
                | Keyword::CHECK,
            )) => self.group().values,
            Some(Piece::Keyword(_, keyword)) if precedes_a_name(*keyword) => self.group().values,
            // A quoted name before a parenthesis is a table with its columns, a name without quotes a function.
            Some(Piece::Word(word)) => !word.starts_with(['"', '`']),
            Some(_) => true,
        }
    }

    /// Reads a word; returns `false` if databases disagree about what follows it.
    fn word(&mut self, at: usize, word: &Word) -> bool {
        if let Some(quote) = word.quote_style {
            return self.quoted(at, word, quote);
        }
        if let Some(SourceToken { token: Token::SingleQuotedString(_), glued: true }) = self.next(at) {
            let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| prefix.eq_ignore_ascii_case(&word.value));
            // Oracle's q'[it's]' ends where its own bracket does.
            if is(&["q", "nq"]) {
                self.value();
                return false;
            }
            if is(&["n", "e", "b", "r", "x", "rb", "br", "u"]) {
                return true;
            }
        }
        let next = self.next(at).map(|next| &next.token);
        // ClickHouse's data follow the name of their format.
        let data_follow = self.statement == StatementKind::Insert
            && self.groups.len() == 1
            && word.value.eq_ignore_ascii_case("FORMAT")
            && self.pieces.last() != Some(&Piece::Period)
            && matches!(next, Some(Token::Word(format)) if !is_keyword(format));
        let is_keyword = self.pieces.last() != Some(&Piece::Period) && is_keyword(word);
        let opens_query = self.statement == StatementKind::Set
            && word.keyword == Keyword::SELECT
            && self.pieces.last() == Some(&Piece::Open);
        self.statement = self.statement.with(&word.value);
        if self.statement == StatementKind::Unread {
            self.group_mut().hidden = false;
        }
        if word.value.len() > MAX_IDENTIFIER || self.group().hidden && !opens_query {
            self.value();
        } else if is_keyword {
            self.keyword(word);
        } else {
            self.push(Piece::Word(word.value.clone()));
        }
        self.hide_if(self.statement.hides_after_word(&word.value, next));
        !data_follow
    }

    fn quoted(&mut self, at: usize, word: &Word, quote: char) -> bool {
        let sure = !(ends_elsewhere(&word.value, quote) || self.brackets > 0 && word.value.contains([']', '\'']));
        let shown = sure
            && !self.group().hidden
            && !word.value.contains(|ch: char| ch == quote || ch.is_control())
            && word.value.len() <= MAX_IDENTIFIER
            && (quote != '"' || self.is_identifier(at, word));
        if shown {
            self.push(Piece::Word(format!("{quote}{}{quote}", word.value)));
        } else {
            self.value();
        }
        sure
    }

    fn keyword(&mut self, word: &Word) {
        let closes_between = word.keyword == Keyword::AND && self.group().between;
        match word.keyword {
            Keyword::SELECT | Keyword::DELETE if self.statement != StatementKind::Grant => {
                *self.group_mut() = Group { query: true, ..Group::default() };
            }
            Keyword::BETWEEN => self.group_mut().between = true,
            Keyword::AND => self.group_mut().between = false,
            _ => {}
        }
        self.push(Piece::Keyword(word.value.to_ascii_uppercase(), word.keyword));
        self.after_between = closes_between;
    }

    /// Whether a double-quoted word is an identifier; see [`super::shape`].
    fn is_identifier(&mut self, at: usize, word: &Word) -> bool {
        if self.names_a_table(at) {
            self.proves_standard_quotes = true;
            return true;
        }
        let plain = word.value.chars().all(|ch| ch.is_alphanumeric() || ch == '_');
        self.standard_quotes
            && plain
            && !self.after_between
            && !self.group().values
            && match self.pieces.last() {
                Some(Piece::Open | Piece::Comma) => true,
                Some(Piece::Keyword(_, keyword)) => precedes_a_name(*keyword),
                _ => false,
            }
    }

    /// Whether the word at `at` stands where no database takes a string.
    fn names_a_table(&self, at: usize) -> bool {
        let keyword = |back: usize| match at.checked_sub(back).map(|before| &self.tokens[before].token) {
            Some(Token::Word(Word { keyword, quote_style: None, .. })) => Some(*keyword),
            _ => None,
        };
        if at.checked_sub(1).is_some_and(|before| self.tokens[before].token == Token::Period)
            || matches!(self.next(at), Some(SourceToken { token: Token::Period, .. }))
        {
            return true;
        }
        match keyword(1) {
            Some(Keyword::JOIN | Keyword::INTO | Keyword::UPDATE | Keyword::TABLE) => true,
            // Not that of `IS DISTINCT FROM`.
            Some(Keyword::FROM) => self.group().query && keyword(2) != Some(Keyword::DISTINCT),
            _ => false,
        }
    }

    /// Whether a literal, a parameter or an array follows.
    fn path_follows(&self, at: usize) -> bool {
        match self.next(at).map(|next| &next.token) {
            Some(Token::SingleQuotedString(_) | Token::Placeholder(_)) => true,
            Some(Token::Word(word)) => word.quote_style.is_none() && word.keyword == Keyword::ARRAY,
            _ => false,
        }
    }

    /// Whether a name or a number follows immediately.
    fn names_follow(&self, at: usize) -> bool {
        matches!(
            self.next(at),
            Some(SourceToken { token: Token::Word(Word { quote_style: None, .. }) | Token::Number(..), glued: true })
        )
    }

    fn next(&self, at: usize) -> Option<&'a SourceToken> {
        self.tokens.get(at + 1)
    }

    fn value(&mut self) {
        if let Some(Piece::Sign(_)) = self.pieces.last() {
            self.pieces.pop();
        }
        if self.pieces.last() != Some(&Piece::Value) {
            self.push(Piece::Value);
        }
    }

    fn push(&mut self, piece: Piece) {
        self.after_between = false;
        self.pieces.push(piece);
    }

    fn group(&self) -> Group {
        self.groups.last().copied().unwrap_or_default()
    }

    fn group_mut(&mut self) -> &mut Group {
        self.groups.last_mut().expect("the outermost group is never popped")
    }
}

/// Returns the text of an operator. Returns `None` for `#`, which begins a comment in MySQL, and for braces, a lone
/// backslash and other characters that are not SQL.
fn operator(token: &Token) -> Option<String> {
    let text = token.to_string();
    let known = matches!(token, Token::HashArrow | Token::HashLongArrow)
        || text.chars().all(|ch| "=<>!~*/%|&^@:?+-".contains(ch));
    known.then_some(text)
}

/// Whether a name, a value or a group of either follows the keyword: a quoted word there is what the group allows.
fn precedes_a_name(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::DISTINCT
            | Keyword::WHERE
            | Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::ON
            | Keyword::SET
            | Keyword::BY
            | Keyword::HAVING
            | Keyword::AS
            | Keyword::USING
            | Keyword::RETURNING
    )
}

/// Words that are keywords everywhere, and shown in capitals. Words that are also common names of columns (`name`,
/// `status`, `date`) are not here, so that they keep their case.
const KEYWORDS: &str = "ADD ALL ALTER ANALYZE AND ANY ARRAY AS ASC BEGIN BETWEEN BY CASCADE CASE CAST CHECK COLUMN COMMIT CONFLICT \
     CONSTRAINT COPY CREATE CROSS DEFAULT DELETE DESC DISTINCT DO DROP DUPLICATE ELSE END ESCAPE EXCEPT EXISTS \
     EXPLAIN FALSE FETCH FOR FOREIGN FROM FULL GRANT GROUP HAVING IF IGNORE ILIKE IN INDEX INNER INSERT INTERSECT \
     INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT LOCK MERGE NATURAL NOT NOTHING NULL NULLS OFFSET ON OR ORDER OUTER \
     OVER PARTITION PRAGMA PRIMARY RECURSIVE REFERENCES REGEXP RELEASE REPLACE RETURNING RIGHT ROLLBACK SAVEPOINT \
     SELECT SET SHOW SIMILAR SOME START TABLE THEN TRANSACTION TRUE TRUNCATE UNION UNIQUE UPDATE USING VACUUM VALUES \
     VIEW WHEN WHERE WITH";

fn is_keyword(word: &Word) -> bool {
    word.keyword != Keyword::NoKeyword && KEYWORDS.split(' ').any(|known| known.eq_ignore_ascii_case(&word.value))
}
