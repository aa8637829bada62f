//! [`lex`]: the pieces of a statement that are safe to show.
//!
//! Owns the decision of what is shown. The tokenizer runs in a dialect of our own with the fewest special forms, and
//! every place that a real database would read differently ends the statement with [`Piece::Cut`]: the text before it
//! reads the same in all of them.

mod brackets;
mod broken;

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, Word},
};

use super::{
    bare,
    piece::Piece,
    source::{Source, SourceToken, ends_elsewhere, may_open},
    statement::{StatementKind, verb},
    words::{follows_an_operand, is_comparison, is_keyword, operator, precedes_a_name, signed_operator},
};

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
    /// It has got to the columns of a `SELECT` or a `RETURNING`, where a value may have a name after it.
    columns: bool,
    /// It is the list of an `IN`.
    list: bool,
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
    /// Where the last quoted text stands among the pieces.
    quoted_at: Option<usize>,
    /// The tokens before this one are no data without quotes. Kept, so that a long run is looked through once.
    judged: usize,
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
            quoted_at: None,
            judged: 0,
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
        if self.breaks_off(at) {
            return None;
        }
        let place = match self.pieces.last() {
            // Oracle's `table@link` is a name.
            _ if self.follows_a_table_word(at) => bare::Place::Table,
            Some(Piece::Operator(operator)) if is_comparison(operator) => bare::Place::Value,
            Some(Piece::Keyword(_, Keyword::LIKE | Keyword::ILIKE)) => bare::Place::Value,
            Some(Piece::Open | Piece::Comma) if self.group().list => bare::Place::Value,
            _ => bare::Place::Other,
        };
        if at >= self.judged
            && let Some(run) = bare::run(&self.tokens[at..], place)
        {
            self.judged = at + run.length;
            if run.is_data {
                self.in_number = false;
                self.value();
                return Some(self.judged);
            }
        }
        if let Some((operator, length)) = signed_operator(&self.tokens[at..]) {
            // Its end begins a comment in MySQL.
            if operator.contains('#') && !self.path_follows(at + length - 1) {
                return None;
            }
            self.push(Piece::Operator(operator.into()));
            return Some(at + length);
        }
        self.in_number = matches!(token, Token::Number(..) | Token::HexStringLiteral(_) | Token::Placeholder(_));
        match token {
            Token::Word(word) => return self.word(at, word).then_some(at + 1),
            Token::LBracket if let Some(next) = self.bracketed(at) => return Some(next),
            Token::Number(..) | Token::Placeholder(_) => self.value(),
            Token::SingleQuotedString(raw) | Token::HexStringLiteral(raw) => {
                // `ESCAPE` takes one character, so the string is that one in every database.
                let is_escape = raw == "\\" && matches!(self.pieces.last(), Some(Piece::Keyword(_, Keyword::ESCAPE)));
                self.value();
                let ends_elsewhere = !is_escape && ends_elsewhere(raw, '\'');
                if ends_elsewhere || self.brackets > 0 && raw.contains(']') || self.is_broken(at) {
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
                let is_binary = follows_an_operand(&self.pieces, *glued, self.next(at).is_some_and(|next| next.glued));
                self.push(if is_binary { Piece::Operator(sign.into()) } else { Piece::Sign(sign) });
            }
            // An operator on a path in PostgreSQL, a comment in MySQL.
            Token::HashArrow | Token::HashLongArrow if !self.path_follows(at) => return None,
            // A path without quotes: no operand begins so.
            Token::Div | Token::Period if matches!(self.pieces.last(), Some(Piece::Operator(it)) if it != "*") => {
                return None;
            }
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
                let list = group.list || matches!(self.pieces.last(), Some(Piece::Keyword(_, Keyword::IN)));
                self.groups.push(Group { values, list, hidden: group.hidden, ..Group::default() });
                Piece::Open
            }
            Token::RParen => {
                if self.groups.len() > 1 {
                    self.groups.pop();
                }
                Piece::Close
            }
            // Quotes of SQL Server around a name that is not shown.
            Token::LBracket if self.group().hidden => {
                self.brackets += 1;
                self.value();
                return true;
            }
            Token::RBracket if self.group().hidden => {
                self.brackets = self.brackets.saturating_sub(1);
                return true;
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
            Some(Piece::Word(word)) => !word.starts_with(['"', '`', '[']),
            Some(_) => true,
        }
    }

    /// Reads a word; returns `false` if databases disagree about what follows it.
    fn word(&mut self, at: usize, word: &Word) -> bool {
        if let Some(quote) = word.quote_style {
            return self.quoted(at, word, quote);
        }
        if self.statement == StatementKind::Unread && (verb(&word.value).is_none() || self.is_title(at)) {
            return false;
        }
        if let Some(SourceToken { token: Token::SingleQuotedString(_), glued: true }) = self.next(at) {
            let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| prefix.eq_ignore_ascii_case(&word.value));
            // Oracle's q'[it's]' ends where its own bracket does.
            if is(&["q", "nq"]) {
                self.value();
                self.is_broken(at);
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
        let was = self.statement;
        self.statement = was.with(&word.value);
        // The statement that follows a made-up name.
        if self.statement != was
            && matches!(was, StatementKind::SetForOne | StatementKind::Preparing | StatementKind::Declaring)
        {
            self.group_mut().hidden = false;
        }
        let is_hidden = self.group().hidden && !opens_query && !self.statement.shows(&word.value);
        if is_hidden || !is_keyword && self.is_named_at_run_time(at) || self.is_made_up(at, &word.value, was) {
            self.value();
        } else if is_keyword {
            self.keyword(word);
        } else {
            self.push(Piece::Word(word.value.clone()));
        }
        self.hide_if(self.statement.hides_after_word(&word.value, &self.tokens[at + 1..]));
        !data_follow
    }

    /// Whether the word at `at` is a name that programs make up at run time; `was` is the kind of the statement before it.
    fn is_made_up(&mut self, at: usize, word: &str, was: StatementKind) -> bool {
        let is_qualified = matches!(self.next(at), Some(SourceToken { token: Token::Period, .. }));
        let is_temporary = was == StatementKind::DefiningTemporary && self.statement == StatementKind::Plain;
        if is_temporary && is_qualified {
            self.statement = was;
        }
        is_temporary || bare::is_generated(word)
    }

    /// Whether the name at `at` is that of a cursor in `CURRENT OF`, of a temporary table in `INTO TEMP` or of a transaction in `BEGIN`.
    fn is_named_at_run_time(&self, at: usize) -> bool {
        let is = |back: usize, words: &[&str]| match at.checked_sub(back).map(|at| &self.tokens[at].token) {
            Some(Token::Word(Word { value, quote_style: None, .. })) => {
                words.iter().any(|known| known.eq_ignore_ascii_case(value))
            }
            _ => false,
        };
        let table = 1 + usize::from(is(1, &["TABLE"]));
        let is_table = is(table, &["TEMP", "TEMPORARY"]) && is(table + 1, &["INTO"]);
        let is_mode = is(0, &["DEFERRABLE", "ISOLATION", "READ"]) || verb(&self.tokens[at].token.to_string()).is_some();
        let is_transaction = is(1, &["TRAN", "TRANSACTION"]) && is(2, &["BEGIN", "DISTRIBUTED", "END"]) && !is_mode;
        is_table && self.statement != StatementKind::Insert || is_transaction || is(1, &["OF"]) && is(2, &["CURRENT"])
    }

    fn quoted(&mut self, at: usize, word: &Word, quote: char) -> bool {
        let sure = !(ends_elsewhere(&word.value, quote) || self.brackets > 0 && word.value.contains([']', '\'']));
        let was = self.statement;
        if was == StatementKind::DefiningTemporary {
            self.statement = was.with(&word.value);
        }
        let is_made_up = self.is_made_up(at, &word.value, was);
        let shown = sure
            && !is_made_up
            && !self.is_named_at_run_time(at)
            && was != StatementKind::Unread
            && !self.group().hidden
            && !word.value.contains(|ch: char| ch == quote || ch.is_control())
            && (quote != '"' || self.is_identifier(at, word));
        if shown {
            self.push(Piece::Word(format!("{quote}{}{quote}", word.value)));
        } else {
            self.value();
        }
        sure && !self.is_broken(at)
    }

    fn keyword(&mut self, word: &Word) {
        let closes_between = word.keyword == Keyword::AND && self.group().between;
        match word.keyword {
            Keyword::SELECT | Keyword::DELETE if self.statement != StatementKind::Grant => {
                let columns = word.keyword == Keyword::SELECT;
                *self.group_mut() = Group { query: true, columns, ..Group::default() };
            }
            Keyword::RETURNING => self.group_mut().columns = true,
            Keyword::FROM | Keyword::INTO | Keyword::WHERE | Keyword::ORDER | Keyword::LIMIT | Keyword::UNION => {
                self.group_mut().columns = false;
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
        at.checked_sub(1).is_some_and(|before| self.tokens[before].token == Token::Period)
            || matches!(self.next(at), Some(SourceToken { token: Token::Period, .. }))
            || self.follows_a_table_word(at)
    }

    /// Whether the token before `at` is a keyword after which a table's name follows.
    fn follows_a_table_word(&self, at: usize) -> bool {
        let keyword = |back: usize| match at.checked_sub(back).map(|before| &self.tokens[before].token) {
            Some(Token::Word(Word { keyword, quote_style: None, .. })) => Some(*keyword),
            _ => None,
        };
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
