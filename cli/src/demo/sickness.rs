//! The sicknesses of the shop, and which of them are fixed.
//!
//! Owns the list: its names are the values of `--fix`, and each sickness has one place in the shop that calls
//! [`Fixes::cures`]. A fix changes how an answer is computed and never the answer, save for the two that are errors
//! themselves: a checkout that fails, and a coupon that is not found.

use std::collections::BTreeSet;

use clap::builder::PossibleValue;

/// One thing that is wrong with the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sickness {
    /// The sales report adds up its running total anew for each order.
    SlowReport,
    /// Checkout fails when a product is sold out.
    CheckoutErrors,
    /// Reviews are counted by customer without an index on it.
    MissingIndex,
    /// The orders page makes one query for each line's product.
    NPlusOne,
    /// Registration hashes the password on a runtime worker.
    BlockingHash,
    /// Every other receipt is mailed through a relay that is down.
    FailingMail,
    /// Thumbnails are blurred by adding up each window anew.
    SlowThumbnails,
    /// The newsletter's task waits for a server that never answers.
    StuckTask,
    /// Recommendations are cached under a key that is never looked up again.
    Leak,
    /// The shop's own pages link to coupons that are not found.
    BrokenLinks,
    /// Each request looks the settings up again.
    ChattySettings,
    /// Suggestions take longer than the customer takes to the next keystroke, which cancels the request.
    LateSuggestions,
    /// The archive of invoices has a pool of two connections.
    SmallPool,
    /// A carrier that refuses most calls is called again at once.
    RetryStorm,
    /// The lock on the label numbers is held while the carrier prints a label.
    HeldLock,
}

impl Sickness {
    /// Every sickness, in the order in which they are listed.
    pub(crate) const ALL: [Self; 15] = [
        Self::SlowReport,
        Self::CheckoutErrors,
        Self::MissingIndex,
        Self::NPlusOne,
        Self::BlockingHash,
        Self::FailingMail,
        Self::SlowThumbnails,
        Self::StuckTask,
        Self::Leak,
        Self::BrokenLinks,
        Self::ChattySettings,
        Self::LateSuggestions,
        Self::SmallPool,
        Self::RetryStorm,
        Self::HeldLock,
    ];

    /// Returns the name that `--fix` takes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SlowReport => "slow-report",
            Self::CheckoutErrors => "checkout-errors",
            Self::MissingIndex => "missing-index",
            Self::NPlusOne => "n-plus-one",
            Self::BlockingHash => "blocking-hash",
            Self::FailingMail => "failing-mail",
            Self::SlowThumbnails => "slow-thumbnails",
            Self::StuckTask => "stuck-task",
            Self::Leak => "leak",
            Self::BrokenLinks => "broken-links",
            Self::ChattySettings => "chatty-settings",
            Self::LateSuggestions => "late-suggestions",
            Self::SmallPool => "small-pool",
            Self::RetryStorm => "retry-storm",
            Self::HeldLock => "held-lock",
        }
    }

    /// Returns the route, what is wrong with it, and what the fix does.
    pub(crate) const fn story(self) -> &'static str {
        match self {
            Self::SlowReport => {
                "GET /api/reports/sales adds up its running total anew for each order; fixed: a summary table"
            }
            Self::CheckoutErrors => {
                "POST /api/checkout answers 500 when a product is sold out; fixed: it becomes a back order"
            }
            Self::MissingIndex => {
                "GET /api/products/{id}/reviews scans every review per reviewer; fixed: reviews have an index by customer"
            }
            Self::NPlusOne => "GET /api/orders makes one query for each order line; fixed: one join",
            Self::BlockingHash => {
                "POST /api/register hashes the password on a runtime worker; fixed: on a blocking thread"
            }
            Self::FailingMail => {
                "POST /api/checkout mails receipts through a relay that is down, every other time; fixed: failover"
            }
            Self::SlowThumbnails => {
                "POST /api/products/{id}/thumbnail blurs by adding up each window anew; fixed: a summed-area table"
            }
            Self::StuckTask => {
                "POST /api/newsletter starts a task that waits for a server that never answers; fixed: a timeout"
            }
            Self::Leak => {
                "GET /api/recommendations caches each visit under a new key, for ever; fixed: a bounded cache by customer"
            }
            Self::BrokenLinks => {
                "GET /api/coupons/{code} does not find codes in capitals, as the shop prints them; fixed: case is ignored"
            }
            Self::ChattySettings => "every /api route looks each setting up in its history; fixed: once, at start",
            Self::LateSuggestions => {
                "GET /api/suggest counts sales at each keystroke, and the browser gives up; fixed: a kept count"
            }
            Self::SmallPool => {
                "GET /api/invoices/{order} waits for one of two connections to the archive; fixed: a pool of 16"
            }
            Self::RetryStorm => {
                "GET /api/delivery/{country} asks an overloaded carrier again and again; fixed: its last price list is kept"
            }
            Self::HeldLock => {
                "POST /api/returns holds a lock while the carrier prints a label; fixed: only while it takes a number"
            }
        }
    }
}

/// A value of `--fix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    /// Fix this one.
    One(Sickness),
    /// Fix them all.
    All,
}

impl clap::ValueEnum for Fix {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [Fix; Sickness::ALL.len() + 1] = {
            let mut variants = [Fix::All; Sickness::ALL.len() + 1];
            let mut i = 0;
            while i < Sickness::ALL.len() {
                variants[i] = Fix::One(Sickness::ALL[i]);
                i += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::One(sickness) => PossibleValue::new(sickness.name()).help(sickness.story()),
            Self::All => PossibleValue::new("all").help("all of them, like --fixed"),
        })
    }
}

/// The sicknesses that are switched off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fixes(BTreeSet<Sickness>);

impl Fixes {
    /// Returns the fixes of all sicknesses.
    pub(crate) fn all() -> Self {
        Self(Sickness::ALL.into())
    }

    /// Returns whether `sickness` is switched off.
    pub(crate) fn cures(&self, sickness: Sickness) -> bool {
        self.0.contains(&sickness)
    }

    /// Returns the names of the sicknesses that are switched off, in the order in which they are listed.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|sickness| sickness.name())
    }

    /// Returns the sicknesses that are still there, in the order in which they are listed.
    pub(crate) fn remaining(&self) -> impl Iterator<Item = Sickness> {
        Sickness::ALL.into_iter().filter(|sickness| !self.cures(*sickness))
    }
}

impl FromIterator<Fix> for Fixes {
    fn from_iter<I: IntoIterator<Item = Fix>>(fixes: I) -> Self {
        fixes.into_iter().fold(Self::default(), |mut all, fix| {
            match fix {
                Fix::All => all = Self::all(),
                Fix::One(sickness) => _ = all.0.insert(sickness),
            }
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = Sickness::ALL.iter().map(|sickness| sickness.name()).collect();
        assert_eq!(names.len(), Sickness::ALL.len());
    }

    #[test]
    fn one_fix_leaves_the_others() {
        let fixes: Fixes = [Fix::One(Sickness::Leak)].into_iter().collect();
        assert!(fixes.cures(Sickness::Leak));
        assert_eq!(fixes.remaining().count(), Sickness::ALL.len() - 1);
    }

    #[test]
    fn all_among_others_fixes_everything() {
        let fixes: Fixes = [Fix::One(Sickness::Leak), Fix::All].into_iter().collect();
        assert_eq!(fixes, Fixes::all());
        assert_eq!(fixes.remaining().next(), None);
    }
}
