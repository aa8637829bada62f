//! [`Rhythm`]: how often something usually happens, and whether its silence now is more than chance.
//!
//! Owns the counts of one subject over nine days and the gaps between them; [`MeasuredTime`] knows which of that time was
//! measured. Two comparisons tell silence from rarity: with the same time of yesterday and of a week ago, and with the gaps so
//! far. The invariant that a change could break: time that was not measured is never taken for time in which nothing
//! happened.

use serde::{Deserialize, Serialize};

use super::{counted_ring::Ring, measured_time::MeasuredTime};

pub(crate) const DAY: u64 = 24 * 3600;
const WEEK: u64 = 7 * DAY;
pub(super) const HALF_HOUR: u64 = 1800;
const MINUTE: u64 = 60;
/// Half hours that are kept: a silence of a day is compared with the same day a week before.
pub(super) const HALF_HOURS: usize = 9 * 48;
/// Minutes that a drop looks back, the current one included.
const MINUTES: usize = 30;
/// Half hours whose scatter is looked at: on a Monday they reach back to Thursday.
const SCATTER_HALF_HOURS: u64 = 4 * 48;
/// Days of which gaps are kept: a working week with both its weekends.
const GAP_DAYS: usize = 9;

/// Standard deviations by which a count must be below the usual. There are 48 half hours a day, and a service may have a
/// thousand routes: at six, chance alone is found less than once in a thousand years of one.
const SIGMAS: f64 = 6.0;
/// Median of the squared difference of two Poisson counts, divided by their sum: that of a chi-squared variable with one
/// degree of freedom.
const MEDIAN_DISPERSION: f64 = 0.455;

/// Gaps after which the longest says how long the next can be, and how many times as long that is.
///
/// If gaps were random (exponential), the next would exceed `c` times the longest of `n` with probability
/// `c! n! / (n + c)!`, the mean of `exp(-c M)` over the maximum `M`: 1 in 50,000 for 20 gaps and 5, 1 in 90,000 for 80 and 3.
const GAP_FACTORS: [(u32, u64); 2] = [(80, 3), (20, 5)];
/// Gaps that make a clockwork, if the shortest is [`EVEN_RATIO`] of the longest or more: five random gaps are that even by a chance
/// of 1 in 10,000.
const EVEN_GAPS: u32 = 5;
const EVEN_RATIO: f64 = 0.8;
/// How many times its usual gap a clockwork may be silent.
const EVEN_FACTOR: f64 = 1.5;

/// How often one thing happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rhythm {
    half_hours: Ring<HALF_HOURS>,
    minutes: Ring<{ MINUTES + 2 }>,
    /// When it happened first and last, in seconds since the Unix epoch.
    span: Option<(u64, u64)>,
    /// By day of their end.
    gaps: [Gaps; GAP_DAYS],
}

/// The times between two that follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gaps {
    day: u64,
    count: u32,
    shortest: u64,
    /// In seconds.
    pub(crate) longest: u64,
}

/// How long nothing happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Silence {
    /// In seconds; 0 where it is not longer than usual.
    pub(crate) absent_seconds: f64,
    /// The longest time between two before, in seconds.
    pub(crate) usual_gap: Option<f64>,
    /// How many there usually are in the time.
    pub(crate) usual_count: Option<f64>,
}

/// How much less happened in the last half hour than usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drop {
    count: f64,
    pub(crate) usual: f64,
    /// By how much the counts scatter, as a multiple of what random and independent ones do; `None` where the count is not clearly
    /// below the usual.
    dispersion: Option<f64>,
    /// Length of that time in seconds.
    pub(crate) seconds: f64,
}

impl Drop {
    /// Returns it with further ones that have begun and not ended.
    pub(crate) fn and_in_progress(self, more: f64) -> Self {
        Self { count: self.count + more, ..self }
    }

    /// Returns the share of the usual that there was; 1 is all of it.
    pub(crate) fn share(&self) -> f64 {
        self.count / self.usual
    }

    /// Returns the share of the usual that is missing if only the share `expected` of it was to be expected, 0 to 1; 0 where chance
    /// may explain it.
    pub(crate) fn ratio(&self, expected: f64) -> f64 {
        let usual = self.usual * expected;
        let is_clear = |dispersion| sigmas(self.count / dispersion, usual / dispersion) >= SIGMAS;
        match self.dispersion {
            Some(dispersion) if is_clear(dispersion) => (1.0 - self.count / usual).max(0.0),
            _ => 0.0,
        }
    }
}

impl Rhythm {
    /// Counts what happened up to `now`, in seconds since the Unix epoch.
    pub(crate) fn add(&mut self, now: u64, count: u64, time: &MeasuredTime) {
        if count == 0 {
            return;
        }
        let counted = u32::try_from(count).unwrap_or(u32::MAX);
        self.half_hours.add(now / HALF_HOUR, counted);
        self.minutes.add(now / MINUTE, counted);
        let (first, last) = *self.span.get_or_insert((now, now));
        let gap = now.saturating_sub(last);
        if gap > 0 && time.silent_since(last, now, gap) == last {
            let day = &mut self.gaps[(now / DAY) as usize % GAP_DAYS];
            if day.day != now / DAY {
                *day = Gaps { day: now / DAY, count: 0, shortest: u64::MAX, longest: 0 };
            }
            day.count = day.count.saturating_add(1);
            day.shortest = day.shortest.min(gap);
            day.longest = day.longest.max(gap);
        }
        self.span = Some((first, last.max(now)));
    }

    /// Returns when it happened last.
    pub(crate) fn last(&self) -> Option<u64> {
        self.span.map(|(_, last)| last)
    }

    /// Judges the time since it happened last; `None` where what is known does not say how long is usual.
    pub(crate) fn silence(&self, now: u64, time: &MeasuredTime) -> Option<Silence> {
        let (first, last) = self.span?;
        // The kind of day that it is must be known: what happens on working days is not missing on a first Saturday.
        if !time.has_reference(now) || first.saturating_add(DAY) > now {
            return None;
        }
        let gaps = self.gaps(now);
        let since = time.silent_since(last, now, gaps.longest.max(1));
        let silent = now.saturating_sub(since);
        // Gaps of working days do not say how long a weekend is.
        let longest = longest_gap(&gaps).filter(|_| self.has_run_on_days_like(since, now));
        let usual = self.usual(since, now, time);
        let by_gaps = longest.is_some_and(|longest| silent as f64 > longest);
        let by_time = || {
            let usual = usual.unwrap_or(0.0);
            sigmas(0.0, usual) >= SIGMAS && sigmas(0.0, usual / self.dispersion(now, time)) >= SIGMAS
        };
        let is_absent = by_gaps || by_time();
        let a_day = || self.counted(now.saturating_sub(DAY), now);
        if !is_absent && longest.is_none() && sigmas(0.0, a_day()) < SIGMAS {
            return None;
        }
        Some(Silence {
            absent_seconds: if is_absent { silent as f64 } else { 0.0 },
            usual_gap: (gaps.count > 0).then_some(gaps.longest as f64),
            usual_count: usual,
        })
    }

    /// Compares the last half hour with the same of yesterday and of a week ago, whichever had less. `None` where these are not known,
    /// or had too few for any drop to be more than chance.
    pub(crate) fn drop(&self, now: u64, time: &MeasuredTime) -> Option<Drop> {
        let from = (now / MINUTE).saturating_sub(MINUTES as u64 - 1) * MINUTE;
        if !time.is_measured(from, now) {
            return None;
        }
        let usual = self.usual(from, now, time).filter(|usual| sigmas(0.0, *usual) >= SIGMAS)?;
        let count = (from / MINUTE..=now / MINUTE).map(|minute| f64::from(self.minutes.get(minute))).sum();
        // Most have their usual traffic, and need no more than this.
        let dispersion = (sigmas(count, usual) >= SIGMAS).then(|| self.dispersion(now, time));
        Some(Drop { count, usual, dispersion, seconds: now.saturating_sub(from) as f64 })
    }

    /// Returns how many there usually are between two times: as many as at the same time on the day before and a week before,
    /// whichever is less.
    ///
    /// Working days and weekends differ, so that a day of one kind says nothing about one of the other unless the week before does. A
    /// time that is longer than a day is compared with the last whole days before it began.
    fn usual(&self, from: u64, to: u64, time: &MeasuredTime) -> Option<f64> {
        let (first, _) = self.span?;
        let days = to.saturating_sub(from).div_ceil(DAY).max(1);
        let at = |shift: u64| {
            let (from, to) = (from.checked_sub(shift)?, to.checked_sub(shift)?);
            (from >= first && time.is_measured(from, to)).then(|| self.counted(from, to))
        };
        let (day_before, week_before) = (at(days * DAY), at(days.div_ceil(7) * WEEK));
        match (day_before, week_before) {
            (Some(day), Some(week)) => Some(day.min(week)),
            (None, known) => known,
            (known, None) => known.filter(|_| are_alike(from, to, days * DAY)),
        }
    }

    /// Returns how many there were between two times, as if those of a half hour were spread evenly over it.
    fn counted(&self, from: u64, to: u64) -> f64 {
        super::measured_time::half_hours(from, to)
            .map(|(at, seconds)| f64::from(self.half_hours.get(at)) * seconds as f64 / HALF_HOUR as f64)
            .sum()
    }

    /// Returns by how much neighbouring half hours differ, as a multiple of what random and independent counts do; at least 1.
    ///
    /// Requests that come in bursts scatter more than their number says. A median, so that an outage among the half hours does not
    /// hide the next.
    fn dispersion(&self, now: u64, time: &MeasuredTime) -> f64 {
        let newest = now / HALF_HOUR;
        let pair = |back: u64| {
            let [older, newer] = [newest.checked_sub(back + 1)?, newest.checked_sub(back)?];
            if !time.is_measured(older * HALF_HOUR, (newer + 1) * HALF_HOUR) {
                return None;
            }
            let [older, newer] = [older, newer].map(|at| f64::from(self.half_hours.get(at)));
            (older + newer > 0.0).then(|| (older - newer).powi(2) / (older + newer))
        };
        let mut pairs: Vec<f64> = (1..SCATTER_HALF_HOURS).filter_map(pair).collect();
        let middle = pairs.len() / 2;
        if pairs.is_empty() {
            return 1.0;
        }
        let (_, median, _) = pairs.select_nth_unstable_by(middle, f64::total_cmp);
        (*median / MEDIAN_DISPERSION).max(1.0)
    }

    /// Returns whether it has run before on days of each kind in a time, working days or weekends.
    fn has_run_on_days_like(&self, from: u64, to: u64) -> bool {
        let has_run = |is_on_weekend: bool| {
            let is_alike = |day: u64| day < to / DAY && is_weekend(day.saturating_mul(DAY)) == is_on_weekend;
            self.gaps.iter().any(|gaps| gaps.count > 0 && is_alike(gaps.day))
        };
        // A week has days of both kinds.
        (from / DAY..=to / DAY).take(7).all(|day| has_run(is_weekend(day * DAY)))
    }

    /// Returns the gaps of the last days together.
    fn gaps(&self, now: u64) -> Gaps {
        let oldest = (now / DAY).saturating_sub(GAP_DAYS as u64 - 1);
        let recent = self.gaps.iter().filter(|gaps| gaps.count > 0 && (oldest..=now / DAY).contains(&gaps.day));
        recent.fold(Gaps { shortest: u64::MAX, ..Gaps::default() }, |all, gaps| Gaps {
            day: gaps.day,
            count: all.count.saturating_add(gaps.count),
            shortest: all.shortest.min(gaps.shortest),
            longest: all.longest.max(gaps.longest),
        })
    }
}

/// Returns how long a silence can be by the gaps so far, in seconds; `None` where they are too few to tell.
fn longest_gap(gaps: &Gaps) -> Option<f64> {
    let longest = gaps.longest as f64;
    if gaps.count >= EVEN_GAPS && gaps.shortest as f64 >= EVEN_RATIO * longest {
        return Some(EVEN_FACTOR * longest);
    }
    let factor = GAP_FACTORS.iter().find(|(fewest, _)| gaps.count >= *fewest);
    factor.map(|(_, factor)| *factor as f64 * longest)
}

/// Returns by how many standard deviations a Poisson count is below another one. Square roots of counts scatter alike, by a half each
/// (Anscombe (1948), "The transformation of Poisson, binomial and negative-binomial data", Biometrika 35).
fn sigmas(count: f64, usual: f64) -> f64 {
    const ANSCOMBE: f64 = 0.375;
    ((usual + ANSCOMBE).sqrt() - (count + ANSCOMBE).sqrt()) / 0.5_f64.sqrt()
}

/// Returns whether each day of a time is of the same kind as the one so long before it.
fn are_alike(from: u64, to: u64, shift: u64) -> bool {
    (from / DAY..=to / DAY).map(|day| day * DAY).all(|day| is_weekend(day) == is_weekend(day.saturating_sub(shift)))
}

/// Returns whether it is Saturday or Sunday, by UTC. The epoch was a Thursday.
pub(super) fn is_weekend(at: u64) -> bool {
    matches!((at / DAY + 4) % 7, 0 | 6)
}

#[cfg(test)]
#[path = "rhythm_tests.rs"]
mod tests;
