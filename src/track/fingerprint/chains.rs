//! [`fold`]: chains of equal operands, which a program writes as long as its data are.
//!
//! `CASE WHEN id = ? THEN ? WHEN id = ? THEN ? END` sets one column of many rows, `(a = ? AND b = ?) OR (a = ? AND b = ?)` looks
//! many pairs up, `SELECT ?, ? UNION ALL SELECT ?, ?` inserts many rows. Of operands in a row that are equal without their data,
//! one is kept.

use std::ops::Range;

use sqlparser::keywords::Keyword;

use super::piece::Piece;

/// How strongly a piece separates what stands before it from what comes after it; a chain's operand ends at a separator of at least
/// its own strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    And,
    Or,
    /// Of a clause: `WHERE`, `ON`, a comma.
    Clause,
    /// `UNION`, `UNION ALL`; in a `CASE` its `WHEN`.
    Branch,
    /// The beginning of a query, a bracket, the end of the statement.
    Whole,
}

/// A separator and the index after it among the pieces that were kept.
#[derive(Clone, Copy, Debug)]
struct Separator {
    strength: Strength,
    start: usize,
    end: usize,
}

/// The separators of one group, with that before it.
struct Level {
    is_case: bool,
    separators: Vec<Separator>,
}

impl Level {
    fn new(is_case: bool, start: usize) -> Self {
        Self { is_case, separators: vec![Separator { strength: Strength::Whole, start, end: start }] }
    }

    /// Returns the last two operands of a chain of this strength as ranges: that before its last separator, and that after it.
    fn operands(&self, strength: Strength) -> Option<(Range<usize>, usize)> {
        let mut at_least = self.separators.iter().rev().filter(|it| it.strength >= strength);
        let last = at_least.next().filter(|it| it.strength == strength)?;
        let before = at_least.next()?;
        Some((before.end..last.start, last.end))
    }
}

/// Returns the pieces with one operand of each chain of equal ones.
pub(super) fn fold(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut chains =
        Chains { out: Vec::with_capacity(pieces.len()), levels: vec![Level::new(false, 0)], before: None, start: 0 };
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        match &piece {
            Piece::Cut => {
                chains.cut();
                chains.fold_statement(true);
                chains.out.push(piece);
            }
            Piece::Open | Piece::OpenBracket => {
                chains.out.push(piece);
                chains.open(false);
            }
            Piece::Close | Piece::CloseBracket => {
                if !chains.close_brackets(&piece) {
                    chains.out.push(piece);
                }
            }
            Piece::Keyword(_, Keyword::CASE) => {
                chains.out.push(piece);
                chains.open(true);
            }
            Piece::Keyword(_, Keyword::END) => {
                chains.close(true);
                chains.out.push(piece);
            }
            // A query begins with the word and not after it.
            Piece::Keyword(_, Keyword::SELECT) => {
                if !chains.is_at_a_separator() {
                    chains.separate(Strength::Whole, 0);
                }
                chains.out.push(piece);
            }
            Piece::Keyword(_, Keyword::UNION) => {
                let all = pieces.next_if(|next| matches!(next, Piece::Keyword(_, Keyword::ALL)));
                chains.fold_up_to(Strength::Branch);
                let start = chains.out.len();
                chains.out.push(piece);
                chains.out.extend(all);
                chains.separated(Strength::Branch, start);
            }
            Piece::Keyword(_, keyword) => match strength(*keyword, chains.is_in_case()) {
                Some(strength) => {
                    chains.fold_up_to(strength);
                    let start = chains.out.len();
                    chains.out.push(piece);
                    chains.separated(strength, start);
                }
                None => chains.out.push(piece),
            },
            Piece::Comma => {
                chains.fold_up_to(Strength::Clause);
                let start = chains.out.len();
                chains.out.push(piece);
                chains.separated(Strength::Clause, start);
            }
            Piece::Semicolon => {
                while chains.levels.len() > 1 {
                    chains.levels.pop();
                }
                chains.fold_up_to(Strength::Whole);
                chains.fold_statement(false);
                chains.before = Some(chains.start..chains.out.len());
                chains.out.push(piece);
                chains.start = chains.out.len();
                chains.levels = vec![Level::new(false, chains.out.len())];
            }
            _ => chains.out.push(piece),
        }
    }
    chains.fold_up_to(Strength::Whole);
    if chains.out.last() != Some(&Piece::Cut) {
        chains.fold_statement(false);
    }
    chains.out
}

fn strength(keyword: Keyword, is_in_case: bool) -> Option<Strength> {
    match keyword {
        Keyword::AND => Some(Strength::And),
        Keyword::OR => Some(Strength::Or),
        Keyword::WHEN | Keyword::ELSE if is_in_case => Some(Strength::Branch),
        Keyword::AS
        | Keyword::BY
        | Keyword::ELSE
        | Keyword::EXCEPT
        | Keyword::FROM
        | Keyword::GROUP
        | Keyword::HAVING
        | Keyword::INTERSECT
        | Keyword::JOIN
        | Keyword::LIMIT
        | Keyword::OFFSET
        | Keyword::ON
        | Keyword::ORDER
        | Keyword::RETURNING
        | Keyword::SET
        | Keyword::THEN
        | Keyword::USING
        | Keyword::VALUES
        | Keyword::WHEN
        | Keyword::WHERE => Some(Strength::Clause),
        _ => None,
    }
}

/// Whether the first bracket of the pieces closes at their end.
fn is_in_brackets(pieces: &[Piece]) -> bool {
    if pieces.first() != Some(&Piece::Open) {
        return false;
    }
    let mut depth = 0_usize;
    let end = pieces.iter().position(|piece| {
        match piece {
            Piece::Open => depth += 1,
            Piece::Close => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    end == Some(pieces.len() - 1)
}

fn without_brackets(pieces: &[Piece]) -> &[Piece] {
    let mut inside = pieces;
    while is_in_brackets(inside) {
        inside = &inside[1..inside.len() - 1];
    }
    inside
}

struct Chains {
    out: Vec<Piece>,
    /// Never empty.
    levels: Vec<Level>,
    /// The statement before the one that is read, without its semicolon.
    before: Option<Range<usize>>,
    /// Where the statement that is read begins.
    start: usize,
}

impl Chains {
    /// Drops the statement that is read if it equals that before it, or, where it was `cut`, begins as that does.
    fn fold_statement(&mut self, cut: bool) {
        let Some(before) = self.before.clone() else { return };
        let (one, other) = (&self.out[before.clone()], &self.out[self.start..]);
        if !other.is_empty() && (one == other || cut && one.starts_with(other)) {
            self.out.truncate(before.end);
            self.start = before.start;
            self.levels = vec![Level::new(false, self.out.len())];
        }
    }

    /// Closes a group. Returns `true` if its brackets stood around other ones alone, and are gone: nested chains have as many as
    /// the data.
    fn close_brackets(&mut self, piece: &Piece) -> bool {
        let start = self.level().separators[0].end;
        let is_group = self.levels.len() > 1 && !self.level().is_case;
        self.close(false);
        let is_operand = matches!(
            self.out.get(start.wrapping_sub(2)),
            None | Some(
                Piece::Open
                    | Piece::Keyword(
                        _,
                        Keyword::WHERE | Keyword::AND | Keyword::OR | Keyword::ON | Keyword::HAVING | Keyword::NOT
                    )
            )
        );
        let is_double = *piece == Piece::Close
            && is_group
            && is_operand
            && self.out[start - 1] == Piece::Open
            && is_in_brackets(&self.out[start..]);
        if is_double {
            self.out.remove(start - 1);
        }
        is_double
    }

    /// Drops the last expression of an `ORDER BY` that equals that before it without its data, or, where it was `cut`, begins as that
    /// does.
    fn fold_order(&mut self, cut: bool) {
        let Some((before, after)) = self.level().operands(Strength::Clause) else { return };
        let out = &self.out;
        let is_comma = |it: &Separator| out.get(it.start) == Some(&Piece::Comma);
        let separators = &self.levels[self.levels.len() - 1].separators;
        let clause = separators.iter().rev().filter(|it| it.strength >= Strength::Clause).find(|it| !is_comma(it));
        let is_order = clause.is_some_and(|it| matches!(out.get(it.start), Some(Piece::Keyword(_, Keyword::BY))));
        if is_order
            && out[before.end] == Piece::Comma
            && out[before.clone()].contains(&Piece::Value)
            && (out[before.clone()] == out[after..] || cut && out[before.clone()].starts_with(&out[after..]))
        {
            self.drop_from(before.end);
        }
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the outermost level is never popped")
    }

    fn is_in_case(&mut self) -> bool {
        self.level().is_case
    }

    fn is_at_a_separator(&mut self) -> bool {
        let end = self.out.len();
        self.level().separators.last().is_some_and(|last| last.end == end)
    }

    fn open(&mut self, is_case: bool) {
        let start = self.out.len();
        self.levels.push(Level::new(is_case, start));
    }

    fn close(&mut self, is_case: bool) {
        if self.levels.len() > 1 && self.level().is_case == is_case {
            self.fold_up_to(Strength::Whole);
            self.levels.pop();
        }
    }

    /// Adds a separator of the `length` last pieces.
    fn separate(&mut self, strength: Strength, length: usize) {
        let end = self.out.len();
        self.level().separators.push(Separator { strength, start: end - length, end });
    }

    /// Adds the separator that begins at `start` and is the last of the pieces.
    fn separated(&mut self, strength: Strength, start: usize) {
        self.separate(strength, self.out.len() - start);
    }

    /// Drops the last operand of each chain of at most this strength in the innermost group where it equals that before it.
    fn fold_up_to(&mut self, strongest: Strength) {
        for strength in [Strength::And, Strength::Or, Strength::Branch] {
            if strength > strongest {
                break;
            }
            let Some((before, after)) = self.level().operands(strength) else { continue };
            let (one, other) = (without_brackets(&self.out[before.clone()]), without_brackets(&self.out[after..]));
            // The bounds of a `BETWEEN` are values alone.
            if one.len() > 1 && one == other {
                self.drop_from(before.end);
            }
        }
        if strongest >= Strength::Clause {
            self.fold_order(false);
        }
    }

    /// Drops the operand that the cut of the statement made incomplete, where it begins as that before it does.
    fn cut(&mut self) {
        self.fold_order(true);
        for level in 0..self.levels.len() {
            for strength in [Strength::Branch, Strength::Or, Strength::And] {
                let Some((before, after)) = self.levels[level].operands(strength) else { continue };
                if self.out[before.clone()].starts_with(&self.out[after..]) {
                    self.levels.truncate(level + 1);
                    self.drop_from(before.end);
                    return;
                }
            }
        }
    }

    fn drop_from(&mut self, end: usize) {
        self.out.truncate(end);
        self.level().separators.retain(|it| it.end <= end);
    }
}
